"""Keeping events: group commit into Redis, the spool when Redis does not answer, and draining the spool afterwards.
What an event is, and who wants it, is decided before, in `receiver.ingest`.
"""
