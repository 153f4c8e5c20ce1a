"""Access to Redis: URL, connections, the client with its errors, keys, Lua scripts, and checks of the server. What is
stored is described in `receiver.storage.model`.
"""
