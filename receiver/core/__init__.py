"""What every part of Frontdesk uses: events and their ids, settings, errors, times and texts. Nothing here does I/O
or knows Redis, HTTP or Nexudus.
"""
