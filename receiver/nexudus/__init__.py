"""Everything that is specific to Nexudus. What it sends is here: hook URLs, signatures, bodies, actions and records. What
it is asked is in `api/`. `receiver.registrar` decides what to register there; `receiver.simulator` is a Nexudus for
tests.
"""
