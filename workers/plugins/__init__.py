"""From the name of a handler in routes.yaml to a function that can be called: finding it, its options, its types.

`load` and `installed` are for the tests of plugins too, as `frontdesk new-handler` writes them.
"""

from workers.plugins.loader import installed, load

__all__ = ["installed", "load"]
