"""What somebody does who wants events to be lost, starved, kept for ever or let in: stands and blows of their own.

Each stand adds to `unaccounted` what must hold of it beside what holds of every campaign.
"""
