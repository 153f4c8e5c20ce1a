"""Speaking to Redis: URL, connections, errors, keys, Lua scripts, and what the server must be. What is stored is
described in `receiver.storage.model`.
"""
