"""Accounting and maintenance: is every accepted event accounted for, what was lost, and what may expire.
Worker parents run it; the command is `frontdesk audit`.
"""
