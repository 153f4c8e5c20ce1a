"""Access to Redis: the URL, connections, the client and its errors, the names of keys, Lua scripts, and checks of the
server. The stored values are in `receiver.storage.model`.
"""
