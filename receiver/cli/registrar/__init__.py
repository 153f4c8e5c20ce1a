"""The commands about webhooks at Nexudus: plan, apply, hooks, gaps, backfill; and what they share with the console.
`receiver.cli.processes.watch` runs the loop.
"""
