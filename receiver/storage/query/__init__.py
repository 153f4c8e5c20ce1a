"""Reading kept events: one, many by filter, and new ones as they come. Nothing here writes."""
