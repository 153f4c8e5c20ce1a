"""What back-fill asks for each of the 90 actions, and when each one happened. Values only: `table` has all rules.

Who asks Nexudus is in the room around it.
"""
