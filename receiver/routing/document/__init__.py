"""The document routes.yaml: its YAML with the line of each key, its keys, what values they take, and what is wrong with
it: unknown and misspelt keys are found in `key_checks`, wrong values explained in `pydantic_messages`.
`receiver.routing.file` makes the table of it, which everything else works with.
"""
