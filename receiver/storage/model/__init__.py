"""The stored values, and their encoding for Redis and the spool. Pure: nothing here calls a server or a disk."""
