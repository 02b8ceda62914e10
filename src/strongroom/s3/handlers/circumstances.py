"""What a request says of itself, for the conditions of policies (s3.md 8.4). Keys: domain/policy/keys.py."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from strongroom.messages import Request
from strongroom.s3.domain.encryption import strip_arn, with_arn
from strongroom.s3.domain.principals import Credential
from strongroom.s3.wire.claims import parse_date
from strongroom.s3.wire.lock_xml import parse_time
from strongroom.s3.wire.object_headers import tag_pairs
from strongroom.s3.wire.sigv4 import ALGORITHM
from strongroom.s3.wire.sse_headers import KEY_ID, METHOD

if TYPE_CHECKING:
    from strongroom.s3.handlers.call import Call

TAGGING = "x-amz-tagging"
SOURCE = "x-amz-copy-source"
DAY = 24 * 3600  # seconds
_SENDER = {"referer": "aws:referer", "user-agent": "aws:useragent"}
_HEADERS = {
    "if-match": "s3:if-match",
    "if-none-match": "s3:if-none-match",
    "x-amz-object-lock-mode": "s3:object-lock-mode",
    "x-amz-object-lock-legal-hold": "s3:object-lock-legal-hold",
    "x-amz-object-lock-retain-until-date": "s3:object-lock-retain-until-date",
}

_ANY_CASE = frozenset(
    {
        METHOD,
        "x-amz-metadata-directive",
        "x-amz-tagging-directive",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-legal-hold",
    }
)  # understood in lower case as well

# Headers that say what the object will be, without keys of customers.
_REPEATED = re.compile(
    "x-amz-(acl|grant-.*|storage-class|tagging|website-redirect-location|object-lock-.*"
    "|server-side-encryption(-aws-kms-key-id|-customer-algorithm|-bucket-key-enabled)?)"
)
_CREATING = {
    **dict.fromkeys(("PutObject", "PostObject", "CopyObject", "CompleteMultipartUpload"), "true"),
    **dict.fromkeys(("CreateMultipartUpload", "UploadPart", "UploadPartCopy"), "false"),
}

Values = dict[str, Sequence[str]]


def secure(request: Request, trusted_proxies: Sequence[str]) -> bool:
    """Say whether the client's connection is TLS, ours or a trusted proxy's."""
    if request.peer.tls:
        return True
    return request.peer.address in trusted_proxies and request.headers.get("x-forwarded-proto", "") == "https"


def _client(request: Request, trusted_proxies: Sequence[str]) -> str:
    """Return the address of who asks: behind trusted proxies the last one in X-Forwarded-For that is none of them."""
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",")]
    for address in (request.peer.address, *reversed(hops)):
        if address and address not in trusted_proxies:
            return address
    return request.peer.address


@lru_cache(maxsize=16)
def _clock(second: int) -> Values:
    date = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"aws:currenttime": (date,), "aws:epochtime": (str(second),)}


def of_caller(request: Request, credential: Credential | None, now: float, trusted_proxies: Sequence[str]) -> Values:
    """Return what any request says of its sender and its time. now: seconds since the epoch.

    A service account and a session go by the name of the user that they act for.
    """
    headers = request.headers
    values: Values = {key: (headers[name],) for name, key in _SENDER.items() if name in headers}
    values["aws:sourceip"] = (_client(request, trusted_proxies),)
    values["aws:securetransport"] = ("true" if secure(request, trusted_proxies) else "false",)
    values |= _clock(int(now))
    if credential is None:
        return {**values, "aws:principaltype": ("Anonymous",)}
    name = credential.owner or credential.access_key
    kind = "Account" if credential.root else "AssumedRole" if credential.token else "User"
    return {**values, "aws:username": (name,), "aws:userid": (name,), "aws:principaltype": (kind,)}


def of_call(call: "Call") -> Values:
    """Return condition key in lower case → values. A key of which the request says nothing is not there."""
    headers, now, proxies = call.headers, call.box.now(), call.box.settings.trusted_proxies
    values = of_caller(call.request, call.principal.credential, now, proxies)
    values |= of_headers(headers)
    values |= {f"s3:{name}": (call.args[name],) for name in ("prefix", "delimiter", "max-keys") if name in call.args}
    if call.version:
        values["s3:versionid"] = (call.version,)
    if call.operation in _CREATING:
        values["s3:objectcreationoperation"] = (_CREATING[call.operation],)
    values |= {f"s3:existingobjecttag/{name.lower()}": (value,) for name, value in call.existing.items()}
    values |= call.told
    values |= _signature(call, now)
    values |= _retention(values, now)
    return values


def of_headers(headers: Mapping[str, str]) -> Values:
    """Return what the headers of a request say."""
    values = {f"s3:{name}": _forms(name, value) for name, value in headers.items() if name.startswith("x-amz-")}
    values |= {key: _forms(name, headers[name]) for name, key in _HEADERS.items() if name in headers}
    return values | requested_tags(dict(tag_pairs(headers[TAGGING]))) if TAGGING in headers else values


def asked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an upload's creation that policies compare again with its parts: those repeat none."""
    return {name: value for name, value in headers.items() if _REPEATED.fullmatch(name)}


def requested_tags(tags: Mapping[str, str]) -> Values:
    """Return what is said of the tags that a request sets."""
    values: Values = {f"s3:requestobjecttag/{name.lower()}": (value,) for name, value in tags.items()}
    return values | {"s3:requestobjecttagkeys": tuple(tags)} if tags else values


def requested_retention(mode: str, until: int) -> Values:
    """Return what is said of the retention that a request's body sets. until: nanoseconds since the epoch."""
    date = datetime.fromtimestamp(until / 1_000_000_000, UTC).isoformat()
    return {"s3:object-lock-mode": (mode,), "s3:object-lock-retain-until-date": (date,)} if mode else {}


def _signature(call: "Call", now: float) -> Values:
    signed = call.signed
    if signed.principal.credential is None:
        return {}
    fourth = bool(signed.scope) or call.headers.get("x-amz-algorithm") == ALGORITHM  # the second: a form's field
    form = call.operation == "PostObject"
    kind = "POST" if form else "REST-QUERY-STRING" if signed.presigned else "REST-HEADER"
    values: Values = {"s3:authtype": (kind,), "s3:signatureversion": (ALGORITHM if fourth else "AWS",)}
    begun = parse_date(signed.amz_date) if signed.amz_date else None
    if begun is not None:
        values["s3:signatureage"] = (str(max(int((now - begun) * 1000), 0)),)  # milliseconds
    return values


def _retention(values: Values, now: float) -> Values:
    dates = values.get("s3:object-lock-retain-until-date", ())
    until = parse_time(dates[0]) if dates else None
    if until is None:
        return {}
    days = -int(-(until / 1_000_000_000 - now) // DAY)  # a begun day counts
    return {"s3:object-lock-remaining-retention-days": (str(days),)}


def _forms(name: str, value: str) -> Sequence[str]:
    """Return a header's value in every form that a policy may write it in: none slips past a denial of another."""
    if name == SOURCE:
        return _sources(value)
    if name == KEY_ID:
        return (bare := strip_arn(value)), with_arn(bare)
    return (value,) if name not in _ANY_CASE or value.isupper() else (value, value.upper())


def _sources(header: str) -> Sequence[str]:
    """Return a copy source as policies may write it: decoded, without its version, without and with a first slash."""
    path = unquote_to_bytes(header.partition("?versionId=")[0].encode("latin-1", "replace")).decode("utf-8", "replace")
    bare = path.removeprefix("/")
    return bare, f"/{bare}"
