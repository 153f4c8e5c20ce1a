"""The commands about events: events, show, tail, failures, listen, send, replay, release, erase, drain."""
