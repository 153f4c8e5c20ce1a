"""Which events a page or an act is about: searches within bounds, counting what an act would touch, and new events as
they come. Pages build on it, and it knows none of them.
"""
