"""Failures: deliveries that are dead or being retried, grouped by what went wrong. A thousand of them are one problem,
and a person acts on the problem: looks at a sample, acknowledges or snoozes it, replays the group.
"""
