"""The spool: what this receiver keeps on its own disk while the store is away. The events of one process are in `disk`,
the SQLite file under them in `file`, the thread that writes it in `writer`, and who owns which file in `slots` and
`tenancy`. How a spool empties into the store is told outside, in `drain` and `drainer`."""
