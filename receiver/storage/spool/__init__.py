"""The spool: events on the receiver's own disk while Redis is away. Moving them into Redis afterwards is in
`receiver.storage.keep`.
"""
