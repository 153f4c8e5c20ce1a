"""routes.yaml: reads, checks and reloads it, and provides the table that decides which routes want an event. Limits and
waiting are applied in `receiver.storage.queue`, attempts in `workers.run`.
"""
