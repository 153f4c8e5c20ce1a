"""CEL, the language of filters: its tokens, the checks of an expression, our functions, and the evaluation. Filters and
their limits are in `receiver.routing.filters`.
"""
