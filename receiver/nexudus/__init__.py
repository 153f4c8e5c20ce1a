"""Everything that is specific to Nexudus. What it sends is here: hook URLs, signatures, bodies, actions and records.
`api/` is what we call there. `receiver.registrar` decides what to register; `receiver.simulator` is such a server for
tests.
"""
