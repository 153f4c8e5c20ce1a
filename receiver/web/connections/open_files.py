"""Fits the number of connections to the number of files that the system allows this process to open."""

import sys
from dataclasses import replace

from receiver.process import logs
from receiver.web.connections.connection_limits import ConnectionLimits

_OURS = 128
"""Open files besides the connections: those to the store, spools and routes."""


def fitting(limits: ConnectionLimits, *, burst: int) -> ConnectionLimits:
    """Return *limits* with as many connections as are possible, after raising the process's limit on open files.

    *burst*: connections that may be accepted at once before the first of them is counted.
    """
    least = limits.connections + _OURS
    allowed = _raised(least + burst)
    if allowed >= least:
        return limits
    connections = max(1, allowed - min(_OURS, allowed // 2))
    remedy = f"set `ulimit -n` (LimitNOFILE=) to {least} or above, or FRONTDESK_MAX_CONNECTIONS to {connections}"
    logs.get().warning("connections.lowered", connections=connections, open_files=allowed, remedy=remedy)
    return replace(limits, connections=connections)


def _raised(wanted: int) -> int:
    """Raise the soft limit to *wanted* if it is lower and that is allowed; return how many files may be open now."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    within = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= within:
        return wanted if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
    except (OSError, ValueError):  # macOS has a lower limit of its own
        return soft
    return within
