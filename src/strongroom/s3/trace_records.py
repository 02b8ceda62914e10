"""What `mc admin trace` shows of a request: no secrets, no bodies."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

from strongroom.messages import Body, Request, Response
from strongroom.s3.auditing import now
from strongroom.s3.handlers.call import Call

SECRETS = ("authorization", "cookie", "x-amz-security-token", "x-amz-server-side-encryption-customer-key",
           "x-amz-copy-source-server-side-encryption-customer-key")  # fmt: skip
SECRET_QUERY = ("x-amz-signature", "x-amz-security-token", "x-amz-credential", "signature")


def trace(
    request: Request, request_id: str, call: Call | None, body: Body, response: Response, seconds: float, sent: int
) -> dict[str, Any]:
    """Return what `mc admin trace` shows of a request; durations in nanoseconds."""
    took = int(seconds * 1e9)
    name = f"s3.{call.operation}" if call is not None else "internal." + request.path.rpartition("/")[2]
    client = request.peer.address
    sent_headers = {header: [value] for header, value in response.headers}
    return {
        "nodename": request.headers.get("host", ""),
        "funcname": name,
        "time": now(),
        "path": request.path,
        "dur": took,
        "http": {
            "reqInfo": {
                "method": request.method,
                "path": request.path,
                "rawquery": without_secrets(request.query),
                "headers": {n: ["*REDACTED*" if n in SECRETS else value] for n, value in request.headers.items()},
                "client": client,
            },
            "respInfo": {"headers": sent_headers, "statuscode": response.status, "requestId": request_id},
            "callStats": {
                "inputBytes": body.length or 0, "outputBytes": sent, "latency": took, "timeToFirstByte": took
            },
        },
    }  # fmt: skip


def without_secrets(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(name.lower() in SECRET_QUERY for name, _ in pairs):
        return query
    return urlencode([(name, "*REDACTED*" if name.lower() in SECRET_QUERY else value) for name, value in pairs])
