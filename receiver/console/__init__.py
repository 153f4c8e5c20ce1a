"""The web console: an ASGI application of pages for people, and the same facts as JSON below /api. It runs as a
process of its own.
"""
