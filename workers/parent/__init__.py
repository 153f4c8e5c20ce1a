"""The parent of worker processes: it starts them, renews their leases, and recovers what a dead process held.
What happens inside a worker process is in `workers.run`.
"""
