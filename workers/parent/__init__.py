"""The parent of worker processes: starts them, speaks for them to Redis, and deals with their deaths."""
