"""The document routes.yaml: its YAML with the line of each key, its keys, what values they take, and what is wrong with
it. `receiver.routing.file` makes the table of it, which everything else works with.
"""
