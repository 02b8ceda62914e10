"""Request paths: decoding, and the redirect to the canonical form (kes.md 1.1)."""

import html
import posixpath
from urllib.parse import unquote, unquote_to_bytes

from strongroom.errors import Malformed
from strongroom.messages import Response

NOT_FOUND = Response(
    404,
    (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")),
    b"404 page not found\n",
)
_HEX = frozenset("0123456789abcdefABCDEF")


def decode(path: str) -> str:
    """Return the decoded path; bytes that are no UTF-8 become U+FFFD. Raises Malformed on a bad escape."""
    if "%" not in path:
        return path
    for part in path.split("%")[1:]:
        if len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX:
            raise Malformed("invalid URL escape")
    raw = unquote_to_bytes(path)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return unquote(path, errors="replace")


def canonical(path: str) -> str:
    """Return path without empty, `.` and `..` segments; a final slash stays."""
    if "//" not in path and "/." not in path:
        return path
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean


def redirect(method: str, location: str, query: str) -> Response:
    """Send a client to another path of the same server, method and body unchanged."""
    target = location + (f"?{query}" if query else "")
    if method not in {"GET", "HEAD"}:
        return Response(307, (("Location", target),))
    body = f'<a href="{html.escape(target)}">Temporary Redirect</a>.\n\n'.encode()
    return Response(307, (("Content-Type", "text/html; charset=utf-8"), ("Location", target)), body)
