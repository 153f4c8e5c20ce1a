"""The queue of deliveries: claims, acknowledgements, leases, pauses, and what deliveries wait for. Limits, order and
targets that are down are enforced by the scripts in `receiver.storage.redis.scripts` (shared/gates.lua, lanes.lua,
targets.lua); `workers` runs the deliveries.
"""
