"""What people do with kept events: replay, release, erase, and how events look to programs and to viewers. The
commands and pages that ask for it are in `receiver.cli` and `receiver.console`.
"""
