"""The entry point of one worker process. Its parent (`frontdesk work`) starts it with its configuration as JSON."""

import sys

from receiver.process import garbage, standard_streams

if __name__ == "__main__":
    standard_streams.install()
    standard_streams.detach_output()  # a handler may print
    with garbage.not_collected():
        from receiver.core.errors import FrontdeskError, StorageUnavailable
        from workers import entry
        from workers.run.process import leave
    try:
        status = entry.main(sys.argv[1])
    except (FrontdeskError, StorageUnavailable):
        status = 1
    leave(status)
