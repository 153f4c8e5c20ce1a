"""HTTP as the receiver speaks it: the hook endpoint, limits of connections, probes and metrics, the server. What a
request means is decided in `receiver.ingest`; the console's pages are in `receiver.console`.
"""
