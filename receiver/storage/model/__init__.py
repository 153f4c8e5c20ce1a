"""The stored values, and their encoding for Redis and for rows of the spool. Pure: nothing here calls a server or
reads a disk."""
