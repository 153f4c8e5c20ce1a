"""`frontdesk serve` without a garbage collector: SIGUSR1 has it print, as `garbage: N`, how much only one would free.

`python -m tests.receiver.web.garbage`, with the settings of a receiver.
"""

import gc
import os
import signal

from receiver.cli.processes.serve import serve


def _collect(*_: object) -> None:
    os.write(1, b"garbage: %d\n" % gc.collect())


if __name__ == "__main__":
    gc.disable()
    signal.signal(signal.SIGUSR1, _collect)
    serve()
