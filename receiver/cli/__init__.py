"""The `frontdesk` command. Commands only read options, call what does the work, and print; there is one folder for
each kind.
"""
