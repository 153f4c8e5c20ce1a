"""The yardstick: a Starlette endpoint that reads the body and answers 202. It checks nothing and keeps nothing."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def take(request: Request) -> Response:
    """Answer 202."""
    await request.body()
    return Response(status_code=202)


app = Starlette(routes=[Route("/events", take, methods=["POST"])])
