"""Reads stored events: one by its id, many by a filter, and new ones as they arrive. Nothing here writes."""
