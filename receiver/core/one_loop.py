"""What objects that belong to one event loop share: they ask for it once."""

import asyncio
from functools import cached_property


class InOneLoop:
    """An object that only one event loop uses; it may be made before that loop runs."""

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()  # before Python 3.12 each call of this is a system call
