"""From the name of a handler in routes.yaml to a function that can be called: finding it, its options, its types."""
