"""The fixtures of `running`, for every test of this folder."""

from tests.receiver.web.running import door, start

__all__ = ["door", "start"]
