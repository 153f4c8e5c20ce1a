"""Back-fill: what no hook brought is looked up in the entity APIs of Nexudus and becomes events.

`rules/` says for each action what is asked and when an event is made: values only. `survey` asks Nexudus, `known` asks
the store, `maker` makes the events, `healing` does it for gaps.
"""
