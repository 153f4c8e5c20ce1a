"""Turns a handler's name in routes.yaml into a function that can be called: finds it and converts its options.
Running the function is in `workers.run`; the API for handler authors is in `workers.api`.
"""
