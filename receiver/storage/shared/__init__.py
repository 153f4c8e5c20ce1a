"""Small state, other than events, that processes share through Redis: locks, the registrar's state, the gap ledger, the
budget of API calls, cached answers, used tokens, readings of signatures, and the audit log of what people did.
"""
