"""The REST API of Nexudus: the client with its call budget and sign-in, and what we call with it, webhooks and records.

What Nexudus sends by itself, the hooks, is in the folder above: their URLs, signatures, bodies and actions.
"""
