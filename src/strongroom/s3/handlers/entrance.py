"""The S3 box's entrance: address, signature, operation, answer; every failure becomes an error document."""

import time
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import unquote_to_bytes

from strongroom.errors import Error
from strongroom.messages import Body, Request, Response
from strongroom.request_id import current
from strongroom.s3.domain.names import RESERVED
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers import cors, documents, routes
from strongroom.s3.handlers.call import Box, Call, log
from strongroom.s3.handlers.following import Following
from strongroom.s3.wire import errors, sigv4, sse_headers
from strongroom.s3.wire.carried import unfold

_ANY_REGION = frozenset({"ListBuckets", "GetBucketLocation"})
_READS = frozenset({"GetObject", "HeadObject"})
_PLAIN = frozenset(["GET", "HEAD", "DELETE"])
MAX_PATH = 32 * 1024  # bytes
_ID_PLACE = len(errors.COMMON_HEADERS)  # of x-amz-request-id in an answer's headers

Special = Callable[[Box, Request, Body, str], Awaitable[Response] | None]
"""Takes requests outside S3 (`/minio/…`, STS): returns None for what is not its own."""


class Observer(Protocol):
    """Counts and records what was answered."""

    inflight: int

    def note(
        self, request: Request, request_id: str, call: Call | None, body: Body, response: Response, seconds: float
    ) -> Callable[[], None] | None:
        """Take a request, the call it became (None: it never was one) and its answer, of which nothing is sent yet.

        Returns what is to be called before the answer leaves.
        """


class Entrance:
    """The handler that `net` calls. specials are asked first, by path prefix `/minio/`; observer sees every answer.

    following: what other processes may have changed, looked at before each request; None when there are none.
    """

    def __init__(
        self,
        box: Box,
        specials: tuple[Special, ...] = (),
        observer: Observer | None = None,
        following: Following | None = None,
    ) -> None:
        self.box = box
        self._following = following
        self._observer = observer
        self._specials = specials
        self._last = 0

    def __call__(self, request: Request, body: Body) -> Awaitable[Response]:
        """Answer one request."""
        return (
            self.answer(request, body, []) if self._observer is None else self._observed(request, body, self._observer)
        )

    async def _observed(self, request: Request, body: Body, observer: Observer) -> Response:
        begun = time.perf_counter()
        observer.inflight += 1
        calls: list[Call] = []
        try:
            response = await self.answer(request, body, calls)
        finally:
            observer.inflight -= 1
        request_id = response.headers[_ID_PLACE][1]
        call = calls[0] if calls else None
        before = observer.note(request, request_id, call, body, response, time.perf_counter() - begun)
        return Response(
            response.status, response.headers, response.body, response.close, response.after, response.lines, before
        )

    def _request_id(self) -> str:
        """Return upper-case hex of the time, never twice."""
        self._last = max(self._last + 1, time.time_ns())
        return f"{self._last:X}"

    async def answer(self, request: Request, body: Body, calls: list[Call]) -> Response:
        """Answer one request; nothing is raised. calls gets what the request became."""
        request_id = self._request_id()
        current.set(request_id)  # the key server's audit log names it too
        bucket = key = ""
        try:
            if self._following is not None and self._following.stale:
                await self._following.catch_up()
            response = await self._special(request, body, request_id) if outside_s3(request) else None
            if response is None:
                bucket, key = address(request, self.box.settings.domains)
                response = await self._operate(request, body, request_id, bucket, key, calls)
        except Error as error:
            refused = errors.refusal(error)
            self._log(request, request_id, refused, error)
            response = _refusal(request, refused, bucket, key, request_id)
        except Exception:
            log.exception("request %s %s %s failed", request_id, request.method, request.path)
            response = _refusal(request, Refused("InternalError"), bucket, key, request_id)
        headers = [*errors.COMMON_HEADERS, ("x-amz-request-id", request_id), *response.headers]
        if "origin" in request.headers and request.method != "OPTIONS":
            headers += await cors.headers(self.box, request, bucket)
        return Response(response.status, headers, response.body, response.close, response.after)

    async def _special(self, request: Request, body: Body, request_id: str) -> Response | None:
        for special in self._specials:
            found = special(self.box, request, body, request_id)
            if found is not None:
                return await found
        return None

    async def _operate(
        self, request: Request, body: Body, request_id: str, bucket: str, key: str, calls: list[Call]
    ) -> Response:
        box = self.box
        if request.method == "OPTIONS":
            return await cors.preflight(box, request, bucket)
        pairs = sigv4.parse_query(request.query)
        args: dict[str, str] = {}
        for name, value in pairs:
            args.setdefault(name, value)
        carried = unfold(request, pairs)
        route = routes.find(request.method, bucket, key, args, carried.headers)
        if route is None:
            text = f"An unsupported API call for method: {request.method} at '{request.path}'"
            raise Refused("BadRequest", text, early=True)
        call = Call(box, carried, body, request_id, bucket, key, pairs, args, operation=route.operation)
        calls.append(call)
        _check_head(call)
        call.signed = box.verifier.verify(request, pairs, box.now(), any_region=route.operation in _ANY_REGION)
        if request.method in _PLAIN:
            _check_no_body(call)
        response = await route.handle(call)
        if call.events and call.record is not None:
            await _tell(call, call.record)
        return response

    def _log(self, request: Request, request_id: str, refused: Refused, error: Error) -> None:
        status, _ = errors.status_and_text(refused)
        if status >= 500 and refused.code != "NotImplemented":
            detail = getattr(error, "detail", "") or error
            log.error("request %s %s %s: %s %s", request_id, request.method, request.path, refused.code, detail)


async def _tell(call: Call, record: BucketRecord) -> None:
    """Queue what happened for those who want to hear of it. It has happened: whatever fails here is no refusal."""
    try:
        await call.box.notifier.publish(call, record)
    except Exception:
        log.exception("request %s: its events are lost", call.request_id)


def outside_s3(request: Request) -> bool:
    """Say whether a request is one of MinIO's own routes, or STS."""
    return request.path.startswith("/minio/") or (request.method == "POST" and request.path == "/")


def _refusal(request: Request, refused: Refused, bucket: str, key: str, request_id: str) -> Response:
    head = request.method == "HEAD"
    return errors.render(refused, head=head, bucket=bucket, key=key, resource=request.path, request_id=request_id)


def _check_head(call: Call) -> None:
    """Refuse, before authentication, customers' keys in clear and over-long paths (sse.md 5)."""
    if len(call.request.path) > MAX_PATH:
        raise Refused("XMinioInvalidResourceName")
    sse_headers.refuse_insecure(call.headers, call.secure())
    if call.operation in _READS:
        sse_headers.refuse_on_read(call.headers)
    if not call.bucket.isascii():
        raise Refused("InvalidBucketName")
    if call.bucket in RESERVED:
        raise Refused("AllAccessDisabled")


def _check_no_body(call: Call) -> None:
    payload = call.signed.payload
    if payload in (sigv4.EMPTY_SHA256, sigv4.UNSIGNED_PAYLOAD):
        return
    documents.check_payload(payload, call.body.buffered or b"")


def address(request: Request, domains: tuple[str, ...]) -> tuple[str, str]:
    """Return bucket and key of a request, both decoded; "" for what it does not name (s3.md 2.1, 2.2)."""
    path = request.path
    if "%" in path:
        path = unquote_to_bytes(path.encode("latin-1")).decode("utf-8", "surrogateescape")
    elif not path.isascii():
        path = path.encode("latin-1").decode("utf-8", "surrogateescape")
    if domains:
        host = request.headers.get("host", "").lower()
        host = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        for domain in domains:
            if host.endswith("." + domain):
                return host[: -len(domain) - 1], path[1:]
    bucket, _, key = path[1:].partition("/")
    return bucket, key.removeprefix("/") or key
