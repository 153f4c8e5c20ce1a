"""As many connections as the system lets this process have open files."""

import sys
from dataclasses import replace

from receiver.process import logs
from receiver.web.connections.connection_budget import Limits

_OURS = 128
"""Open files beside the connections: to the store, spools, routes."""


def fitting(limits: Limits, *, burst: int) -> Limits:
    """Return the limits that can be kept, after raising that on open files for them as far as the system allows.

    *burst*: connections that are accepted at once before the first of them is found to be one too many.
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
    """Raise the soft limit to *wanted* if it is lower and may be; return how many files may be open now."""
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
