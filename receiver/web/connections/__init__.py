"""Limits that uvicorn lacks, as a subclass of its protocol: on the time, size and number of requests and connections.
Nothing here knows about webhooks; the application and its endpoint are in the folder above."""
