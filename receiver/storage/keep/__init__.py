"""Stores events: group commit into Redis, the spool while Redis does not answer, and draining the spool afterwards.
`receiver.ingest` has decided before what becomes an event and which routes want it. How long a duplicate is remembered
is in `receiver.storage.redis.scripts` (keep.lua).
"""
