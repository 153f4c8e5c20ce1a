"""What is stored, and how it is encoded for Redis and the spool. Pure: nothing here speaks to a server or disk."""
