"""CEL, the language of filters: its tokens, the checks of an expression, our functions, and the evaluation. Filters and
the limits on what they read are in `receiver.routing.filters`, those on an expression in `expressions`.
"""
