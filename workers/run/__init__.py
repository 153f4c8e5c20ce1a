"""One worker process: it claims deliveries, runs attempts in threads and on an event loop, and records the results.
The parent that starts and watches worker processes is in `workers.parent`.
"""
