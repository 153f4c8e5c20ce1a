"""Loads the handler that routes.yaml names: finds the function, checks its options, and prepares what it declares.

`load` and `installed` are also for the tests of plugins, such as those that `frontdesk new-handler` writes.
"""

from workers.plugins.loader import installed, load

__all__ = ["installed", "load"]
