"""The fixtures of `running`, for every test of this folder."""

from tests.receiver.web.running import door, hasty, start

__all__ = ["door", "hasty", "start"]
