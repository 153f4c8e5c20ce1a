"""Reading what is kept: single events, lists, and following new ones. Nothing here writes."""
