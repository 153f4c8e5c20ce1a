"""The commands about kept events: events, show, tail, replay, release, erase, drain."""
