"""The commands that say whether all is well: check, alerts, audit, acts."""
