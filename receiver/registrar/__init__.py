"""Registrations at Nexudus: the plan of changes, applying it, and the loop that keeps them right. Calls to Nexudus go
through `receiver.nexudus`.
"""
