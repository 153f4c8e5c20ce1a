"""CEL, the language of filters: tokens, what an expression may call, and its evaluation. What a filter is to a route
is in `receiver.routing.filters`.
"""
