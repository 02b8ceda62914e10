"""AWS Signature Version 2, headers and presigned URLs (s3.md 3.5): boto3 still presigns with it."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import unquote

from strongroom.messages import Request
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire.sigv4 import Pairs, same, value_text

RESOURCES = frozenset(
    re.findall(
        r"\S+",
        "acl cors delete encryption legal-hold lifecycle location logging notification partNumber policy "
        "requestPayment response-cache-control response-content-disposition response-content-encoding "
        "response-content-language response-content-type response-expires retention select select-type tagging "
        "torrent uploadId uploads versionId versioning versions website",
    )
)  # query names that are signed
_MISSING = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
    "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)


def parse_header(authorization: str) -> tuple[str, str]:
    """Split `AWS KEY:SIGNATURE`; raise Refused."""
    access_key, colon, given = authorization[4:].strip().rpartition(":")
    if not colon or not access_key or not given:
        raise Refused("InvalidArgument", "AWS authorization header is invalid. Expected AwsAccessKeyId:signature")
    return access_key, given


def parse_query(names: Mapping[str, str], now: float) -> tuple[str, str]:
    """Return access key and signature of a presigned URL; raise Refused when it is incomplete or over."""
    if "Expires" not in names or "Signature" not in names:
        raise Refused("AuthorizationQueryParametersError", _MISSING)
    if not re.fullmatch(r"\d{1,15}", names["Expires"]):
        raise Refused("MalformedExpires")
    if int(names["Expires"]) <= now:
        raise Refused("AccessDenied", "Request has expired")
    return names["AWSAccessKeyId"], names["Signature"]


def resource(path: str, query: Pairs) -> str:
    """Return the canonical resource: the path as the client encoded it, and the signed query names, sorted."""
    signed = sorted((name, value) for name, value in query if name in RESOURCES)
    if not signed:
        return path
    return path + "?" + "&".join([f"{name}={value}" if value else name for name, value in signed])


def string_to_sign(method: str, headers: Mapping[str, str], where: str, expires: str | None = None) -> str:
    """Return the text that is signed; expires takes the date's place in a presigned URL."""
    names = sorted(name for name in headers if name.startswith("x-amz-"))
    amz = "".join(f"{name}:{value_text(headers[name]).strip()}\n" for name in names)
    date = "" if "x-amz-date" in headers else headers.get("date", "")
    first = f"{method}\n{headers.get('content-md5', '')}\n{value_text(headers.get('content-type', ''))}\n"
    return f"{first}{date if expires is None else expires}\n{amz}{where}"


def signature(secret: str, text: str) -> str:
    """Sign text; return base64 of 20 bytes."""
    mac = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha1)
    return base64.b64encode(mac).decode()


def matches(
    request: Request, query: Pairs, secret: str, given: str, domains: tuple[str, ...], *, presigned: bool
) -> bool:
    """Compare, in constant time, with the signature that the secret makes. What a presigned URL carries is signed as
    headers (wire/carried.py).

    A virtual-host request signs the path with its bucket in front.
    """
    headers = request.headers
    expires = dict(query)["Expires"] if presigned else None
    host = headers.get("host", "").partition(":")[0]
    prefix = next((f"/{host[: -len(domain) - 1]}" for domain in domains if host.endswith("." + domain)), "")
    for path in {request.path, unquote(request.path)}:  # the first is the rule; some clients sign the decoded path
        wanted = signature(secret, string_to_sign(request.method, headers, resource(prefix + path, query), expires))
        if same(wanted, given):
            return True
    return False
