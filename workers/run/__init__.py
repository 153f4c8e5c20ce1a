"""One worker process: claims deliveries, runs attempts in threads and on an event loop, records how they ended.
Starting and watching processes is in `workers.parent`.
"""
