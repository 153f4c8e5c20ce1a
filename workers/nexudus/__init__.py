"""The Nexudus API as handlers call it, limited by the account's call budget and by the attempt's timeout.
The HTTP client itself is in `receiver.nexudus`.
"""
