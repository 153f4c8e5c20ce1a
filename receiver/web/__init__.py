"""HTTP as the receiver speaks it: the Starlette application with the hook endpoint, limits of connections, the server.
What a request means is decided in `receiver.ingest`; the console's pages are in `receiver.console`.
"""

from starlette.applications import Starlette


def create_application() -> Starlette:
    """Return the receiver as an ASGI application, by the settings of the environment: a factory for ASGI servers.

    `frontdesk serve` runs the same on uvicorn, with bounds on connections that no ASGI server has by itself.
    """
    from receiver.web import assembly  # here, because whoever imports a neighbour of it does not need all of it

    return assembly.from_environ()
