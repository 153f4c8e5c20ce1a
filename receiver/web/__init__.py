"""The receiver's HTTP: the Starlette application with the hook endpoint, the limits of connections, and the server.
`receiver.ingest` decides what a request means; the console's pages are in `receiver.console`.
"""

from starlette.applications import Starlette


def create_application() -> Starlette:
    """Return the receiver as an ASGI application, configured by the environment: a factory for ASGI servers.

    `frontdesk serve` runs the same application on uvicorn, with limits on connections that ASGI servers do not have.
    """
    from receiver.web import assembly  # here, so that importing another module of this folder does not import all

    return assembly.from_environ()
