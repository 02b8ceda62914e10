"""Answers as bytes: the envelope, error bodies, the headers that every answer carries (vault.md 1.4 to 1.6)."""

from collections.abc import Sequence

from strongroom.errors import Error, NotSupported, TooLarge, Unavailable
from strongroom.kms.domain import errors as ours
from strongroom.kms.handlers.call import Reply
from strongroom.kms.wire import gojson
from strongroom.kms.wire.policies import one_error
from strongroom.messages import Response

STANDARD = (
    ("Cache-Control", "no-store"),
    ("Content-Type", "application/json"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
)
BODILESS = (STANDARD[0], STANDARD[2])
DENIED = "permission denied"

ROWS: dict[type[Error], tuple[int, str]] = {
    ours.Refused: (400, "plain"),
    ours.Failed: (500, "multi"),
    ours.FailedPlain: (500, "plain"),
    ours.Forbidden: (403, "plain"),
    ours.Refusal: (403, "multi"),
    ours.Nothing: (404, "none"),
    ours.NoRoute: (404, "plain"),
    ours.UnsupportedPath: (404, "multi"),
    ours.UnsupportedOperation: (405, "multi"),
    ours.UnknownVerb: (405, "none"),
    ours.BadSwitch: (400, "none"),
    ours.UnsupportedMedia: (415, "plain"),
    ours.Sealed: (503, "plain"),
    ours.NotActive: (503, "plain"),
    ours.RateLimited: (429, "plain"),
    TooLarge: (413, "plain"),
    NotSupported: (400, "plain"),
    Unavailable: (500, "internal"),
    Error: (500, "internal"),
}


def headers(more: Sequence[tuple[str, str]] = ()) -> Sequence[tuple[str, str]]:
    """Return the standard headers and more."""
    return (*STANDARD, *more) if more else STANDARD


def json_response(status: int, body: bytes, more: Sequence[tuple[str, str]] = ()) -> Response:
    """Return a JSON answer, ending in a newline as the original's do."""
    return Response(status, headers(more), body + b"\n")


def error_body(texts: Sequence[str]) -> bytes:
    """Return `{"errors":[...]}`."""
    return gojson.encode({"errors": list(texts)})


def status_and_texts(error: Error) -> tuple[int, list[str]]:
    """Return what a client sees of an error: texts of the protocol's own errors, `internal error` for others."""
    status, form = next(ROWS[kind] for kind in type(error).__mro__ if kind in ROWS)
    text = str(error)
    if form == "none":
        return status, []
    if form == "internal":
        return status, ["internal error"]
    return status, [one_error(text) if form == "multi" else text]


def error_response(error: Error, more: Sequence[tuple[str, str]] = ()) -> Response:
    """Return the answer to a request that failed."""
    status, texts = status_and_texts(error)
    return json_response(status, error_body(texts), more)


def envelope(reply: Reply, request_id: str) -> bytes:
    """Return an answer's body; every key is always present (vault.md 1.4)."""
    data = reply.raw if reply.raw is not None else b"null" if reply.data is None else gojson.encode(reply.data)
    warnings = gojson.encode(reply.warnings) if reply.warnings else b"null"
    auth = gojson.encode(reply.auth.render()) if reply.auth is not None else b"null"
    wrap = gojson.encode(reply.wrap.render()) if reply.wrap is not None else b"null"
    hoisted = b""
    if reply.hoist and len(data) > 2:
        hoisted = b"," + data[1:-1]
    lease = b'""' if not reply.lease_id else gojson.encode(reply.lease_id)
    return (
        b'{"request_id":"%b","lease_id":%b,"renewable":%b,"lease_duration":%d,"data":%b,"wrap_info":%b,'
        b'"warnings":%b,"auth":%b%b}\n'
    ) % (
        request_id.encode(),
        lease,
        b"true" if reply.renewable else b"false",
        reply.lease_duration,
        data,
        wrap,
        warnings,
        auth,
        hoisted,
    )


def reply_response(reply: Reply | None, request_id: str, more: Sequence[tuple[str, str]] = ()) -> Response:
    """Return the answer to a request that succeeded: 204 without a body when there is nothing to say."""
    if reply is None:
        return Response(204, (*BODILESS, *more), b"")
    if reply.windows is not None:
        return Response(200, (*BODILESS, ("Content-Type", "application/gzip"), *more), reply.windows)
    if reply.bare is not None:
        if reply.content_type:
            kept = (*BODILESS, ("Content-Type", reply.content_type), *more)
            return Response(reply.status or 200, kept, reply.bare)
        if not reply.bare:
            return Response(reply.status or 200, headers(more), b"")
        return json_response(reply.status or 200, reply.bare, more)
    return Response(reply.status or 200, headers(more), envelope(reply, request_id))
