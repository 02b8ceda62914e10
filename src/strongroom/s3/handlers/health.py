"""Health routes, open to everyone (sse.md 13)."""

import asyncio
from collections.abc import Awaitable

from strongroom.errors import Error
from strongroom.messages import Body, Request, Response
from strongroom.s3.handlers.call import Box

PREFIX = "/minio/health/"
PROBE_SECONDS = 1.0  # for so long an answer of the key service counts: nobody needs a signature to ask


class Health:
    """Answers `/minio/health/…`, and remembers for a moment whether the key service would seal an object."""

    def __init__(self) -> None:
        self._alone = asyncio.Lock()
        self._until = 0.0  # of the loop's clock
        self._error: Error | None = None

    def __call__(self, box: Box, request: Request, body: Body, request_id: str) -> Awaitable[Response] | None:
        """Return the answer; None for other paths and methods."""
        if not request.path.startswith(PREFIX) or request.method not in ("GET", "HEAD"):
            return None
        return self._answer(box, request)

    async def _answer(self, box: Box, request: Request) -> Response:
        kind = request.path[len(PREFIX) :]
        if kind == "live":
            return Response(200)
        if kind == "ready":
            await self._probe(box)
            return Response(200)
        if kind == "cluster":
            if "maintenance=true" in request.query:
                return Response(412, [("x-minio-write-quorum", "1")])
            return Response(200, [("x-minio-write-quorum", "1"), ("x-minio-storage-class-defaults", "true")])
        if kind == "cluster/read":
            return Response(200, [("x-minio-read-quorum", "1")])
        return Response(404)

    async def _probe(self, box: Box) -> None:
        """Raise the key service's error of now or of a moment ago; the original makes a data key for each caller."""
        clock = asyncio.get_running_loop().time
        async with self._alone:
            if clock() >= self._until:
                self._error = None
                try:
                    await box.sealing.probe()
                except Error as error:
                    self._error = error
                self._until = clock() + PROBE_SECONDS
            if self._error is not None:
                raise self._error.with_traceback(None)
