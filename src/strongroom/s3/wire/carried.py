"""Headers that come another way: in the query of a presigned URL, in the fields of a form (s3.md 3.4).

SDKs write the headers of a request that they presign into the URL, where the signature covers them: who follows the URL
sends none of them.
"""

import re

from msgspec.structs import replace

from strongroom.messages import Request
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire.sigv4 import Pairs

_CONTROL = re.compile("[\0-\x08\n-\x1f\x7f]")  # a header value holds none of them
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SIGNATURE = frozenset(
    f"x-amz-{name}"
    for name in (
        "algorithm",
        "credential",
        "date",
        "expires",
        "signedheaders",
        "signature",
        "security-token",
        "content-sha256",
    )
)
# A checksum in the URL is that of the body that was signed: usually of none (AWS ignores it, too).
_LEFT = re.compile(r"x-amz-(checksum-.*|sdk-checksum-algorithm|trailer)")
_SECRET = re.compile(r"x-amz-(copy-source-)?server-side-encryption-customer-.*")  # URLs end in logs
_SIGV2 = frozenset({"content-type", "content-md5"})  # what SigV2 signs besides `x-amz-` headers


def header_value(text: str) -> str:
    """Return text as a header's value: its UTF-8, as net hands over headers; raise Refused for more than one line."""
    if _CONTROL.search(text):
        raise Refused("InvalidArgument", "A header must be one line of text.")
    text = text.strip()
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def header_name(text: str) -> str:
    """Return text as a header's name, in lower case; raise Refused for what is none."""
    if not _NAME.fullmatch(text):
        raise Refused("InvalidArgument", "That is no name of a header.")
    return text.lower()


def carried(request: Request, query: Pairs) -> dict[str, str]:
    """Return the headers, names in lower case, that the URL of a presigned request carries and the request lacks.

    Raises Refused for one that stands twice: the signature of SigV2 would cover either.
    """
    names = {name for name, _ in query}
    fourth = "X-Amz-Credential" in names
    if not (fourth or "AWSAccessKeyId" in names) or "authorization" in request.headers:
        return {}
    found: dict[str, str] = {}
    for name, value in query:
        lower = name.lower()
        if lower in request.headers or not (lower.startswith("x-amz-") or (lower in _SIGV2 and not fourth)):
            continue
        if lower in found:
            raise Refused("InvalidArgument", f"{name} stands twice in the query.")
        found[header_name(name)] = header_value(value)
    return found


def unfold(request: Request, query: Pairs) -> Request:
    """Return a presigned request with the headers that its URL carries; any other one as it is. A real header wins.

    Raises Refused for a customer's key in the URL: left out, the object would be stored without it.
    """
    if not query:
        return request
    found = carried(request, query)
    if any(_SECRET.fullmatch(name) for name in found):
        raise Refused("InvalidRequest", "Keys of customers are sent in headers, not in a URL.")
    said = {name: value for name, value in found.items() if name not in _SIGNATURE and not _LEFT.fullmatch(name)}
    return replace(request, headers={**request.headers, **said}) if said else request
