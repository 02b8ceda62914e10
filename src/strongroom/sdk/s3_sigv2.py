"""AWS Signature Version 2 in a header, for servers that know nothing newer (s3.md 3.5)."""

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime

_NAMES = (
    "acl cors delete encryption legal-hold lifecycle location logging notification object-lock partNumber policy "
    "requestPayment response-cache-control response-content-disposition response-content-encoding "
    "response-content-language response-content-type response-expires retention select select-type tagging torrent "
    "uploadId uploads versionId versioning versions website"
)
SUB_RESOURCES = frozenset(_NAMES.split())


def string_to_sign(method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> str:
    """Return what is signed. path: as encoded by the client, with the bucket in it; header names in any case."""
    low = {name.lower(): value for name, value in headers.items()}
    date = "" if "x-amz-date" in low else low.get("date", "")
    amz = "".join(f"{name}:{low[name]}\n" for name in sorted(low) if name.startswith("x-amz-"))
    named = sorted((name, value) for name, value in query if name in SUB_RESOURCES)
    resource = "&".join(f"{name}={value}" if value else name for name, value in named)
    first = "\n".join((method, low.get("content-md5", ""), low.get("content-type", ""), date))
    return f"{first}\n{amz}{path}{'?' + resource if resource else ''}"


def sign(method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], access_key: str,
         secret: str, now: datetime, bucket: str = "") -> dict[str, str]:  # fmt: skip
    """Return headers with Date and Authorization; bucket: the one in the host name, if it is there."""
    sent = dict(headers)
    sent["Date"] = now.strftime("%a, %d %b %Y %H:%M:%S GMT")
    where = f"/{bucket}{path}" if bucket else path
    mac = hmac.digest(secret.encode(), string_to_sign(method, where, query, sent).encode(), "sha1")
    sent["Authorization"] = f"AWS {access_key}:{b64encode(mac).decode()}"
    return sent
