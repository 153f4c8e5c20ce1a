"""Nexudus as it is: its API client and budget, webhooks, signatures, actions, and the records that it sends. What we
want registered there is decided in `receiver.registrar`; a Nexudus for tests is `receiver.simulator`.
"""
