"""The `frontdesk` command. Commands only read options, call the room that does the work, and print; one folder for
each kind.
"""
