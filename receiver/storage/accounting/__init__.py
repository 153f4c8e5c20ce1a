"""Accounting and maintenance: the audit that accounts for every accepted event, detection of lost data, and retention.
The parents of worker processes run it; the command is `frontdesk audit`.
"""
