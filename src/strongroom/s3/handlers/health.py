"""Health routes, open to everyone (sse.md 13)."""

from collections.abc import Awaitable

from strongroom.messages import Body, Request, Response
from strongroom.s3.handlers.call import Box

PREFIX = "/minio/health/"


def special(box: Box, request: Request, body: Body, request_id: str) -> Awaitable[Response] | None:
    """Answer `/minio/health/…`; None for other paths and methods."""
    if not request.path.startswith(PREFIX) or request.method not in ("GET", "HEAD"):
        return None
    return _answer(box, request)


async def _answer(box: Box, request: Request) -> Response:
    kind = request.path[len(PREFIX) :]
    if kind == "live":
        return Response(200)
    if kind == "ready":
        await box.sealing.probe()
        return Response(200)
    if kind == "cluster":
        if "maintenance=true" in request.query:
            return Response(412, [("x-minio-write-quorum", "1")])
        return Response(200, [("x-minio-write-quorum", "1"), ("x-minio-storage-class-defaults", "true")])
    if kind == "cluster/read":
        return Response(200, [("x-minio-read-quorum", "1")])
    return Response(404)
