"""Accounting and maintenance: is everything that was accepted still something, what was lost, and what may expire.
Worker parents run it; the command is `frontdesk audit`.
"""
