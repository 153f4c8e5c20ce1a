"""Everything that is specific to Nexudus: the API client and its call budget, webhooks, signatures, actions, and the
records that Nexudus sends. `receiver.registrar` decides what to register there; `receiver.simulator` is a Nexudus for
tests.
"""
