"""Back-fill: changes that no webhook brought are found through the entity APIs of Nexudus and become events.

`rules/` says for each action what is asked and when an event is made, `search/` asks Nexudus, `known_events` asks the
store, `event_maker` makes the events. `backfill_run` does all of it once; `automatic_backfill` does it when a gap ends.
Which change an event tells of, so that a late webhook is a duplicate, is in `receiver.nexudus.change_identity`.
"""
