"""routes.yaml: reading it, checking it, reloading it, and the table that says which routes want an event. Waiting and
attempts are not decided here: see `receiver.storage.queue` and `workers.run`.
"""
