"""Small state that processes share through Redis, apart from events: locks, the registrar's memory, the budget of API
calls, cached answers, used tokens, the audit log of people's acts.
"""
