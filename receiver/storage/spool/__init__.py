"""The spool: events on the receiver's own disk while Redis is away. The file is in `sqlite_file`, the form of a row in
`receiver.storage.model.spool_row`; `receiver.storage.keep` moves the events into Redis afterwards.
"""
