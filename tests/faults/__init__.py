"""Faults, caused on purpose while numbered events flow through real processes; what each one lost, doubled or delayed.

    frontdesk     the stack under test, and every fault that can be done to it; `stock` is the stack people have today
    load          Nexudus as far as it matters: one numbered event after another, retried until somebody says 202
    link          a TCP connection that can be slowed, stalled, emptied, cut and refused, between any two processes
    blows         the faults; `failover` those of a primary and a replica
    ensemble      a primary, a replica and three sentinels
    skew          clocks that are wrong
    ledger        what was answered, kept and handled, number by number; one row for each fault
    campaign      events flow, blows fall, everything settles, the rows are drawn up
    adversary     what somebody does who wants events to be lost, starved, kept for ever or let in
    estate        the real topology behind nginx, and `upheaval` all that operators do to it

`make test` runs a short form, `make faults` the long one; `python -m tests.faults` prints the whole table.
`tests/promises.py` says which promise is tried by which campaign.
"""
