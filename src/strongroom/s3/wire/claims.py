"""What a request claims about its signature, header or presigned: date, scope, signed headers (s3.md 3.2)."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NoReturn

from strongroom.messages import Request
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import sigv4

SKEW = 15 * 60  # seconds a client's clock may be off
LONGEST_DATE = 64  # characters
LONGEST_CLAIM = 2048  # characters of an Authorization header that is remembered: nobody knows yet who sent it
MOST_SIGNED = 256  # header names in a signature
MEANT = ("x-amz-", "x-minio-")  # headers that say what to do: they are signed
WEEK = 7 * 24 * 3600  # seconds, the longest life of a presigned URL
V4_PARAMETERS = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")

_SCOPE_DATE = re.compile(r"\d{8}")
_AMZ_DATE = re.compile(r"\d{8}T\d{6}Z")
_NOT_SIGNED = "There were headers present in the request which were not signed"
_BAD_CREDENTIAL = (
    "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; "
    'expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
)
_MISSING = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
    "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)


def header_date(headers: Mapping[str, str], now: float, *, bad_date: str = "MalformedDate") -> str:
    """Return the request's time as YYYYMMDDTHHMMSSZ; raise Refused when it is absent, malformed or 15 minutes off."""
    text = headers.get("x-amz-date") or headers.get("date")
    if not text:
        message = "AWS authentication requires a valid Date or x-amz-date header"
        raise Refused("AccessDenied", message, status=400, early=True)
    when = parse_date(text)
    if when is None:
        raise Refused(bad_date, early=True)
    if abs(when - now) > SKEW:
        extra = {
            "RequestTime": text,
            "ServerTime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "MaxAllowedSkewMilliseconds": str(SKEW * 1000),
        }
        raise Refused("RequestTimeTooSkewed", extra=extra, early=True)
    return text if _AMZ_DATE.fullmatch(text) else datetime.fromtimestamp(when, UTC).strftime(sigv4.AMZ_DATE)


def parse_date(text: str) -> float | None:
    """Return seconds since the epoch for the basic ISO or the HTTP form, None for anything else."""
    return _date_of(text) if len(text) <= LONGEST_DATE else None


@lru_cache(maxsize=4096)
def _date_of(text: str) -> float | None:
    try:
        if _AMZ_DATE.fullmatch(text):
            fields = (text[:4], text[4:6], text[6:8], text[9:11], text[11:13], text[13:15])
            year, month, day, hour, minute, second = map(int, fields)
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()


def header_claim(authorization: str) -> tuple[tuple[str, str, str, str, str], str]:
    """Return access key, date, region, service and signed names of an Authorization header, and its signature."""
    head, mark, given = authorization.rpartition("Signature=")
    if not mark or not given.isalnum() or len(head) > LONGEST_CLAIM:  # another order, or a fault with its own refusal
        fields = _header_fields(authorization)
        return (*parse_scope(fields["Credential"]), fields["SignedHeaders"]), fields["Signature"]
    return _claim_of(head), given


@lru_cache(maxsize=4096)
def _claim_of(head: str) -> tuple[str, str, str, str, str]:
    """Read the part of the header that stays the same over a client's requests."""
    fields = _header_fields(head + "Signature=0")
    return (*parse_scope(fields["Credential"]), fields["SignedHeaders"])


def _header_fields(authorization: str) -> dict[str, str]:
    parts = authorization[len(sigv4.ALGORITHM) :].replace(" ", "").split(",")
    if len(parts) != 3:
        raise Refused("MissingFields")
    fields = {}
    for part, name in zip(parts, ("Credential", "SignedHeaders", "Signature"), strict=True):
        tag, equals, value = part.partition("=")
        if not equals or not value:
            raise Refused("MissingFields")
        if tag != name:
            raise Refused("InvalidRequest", f"Missing {name} field for this request.")
        fields[name] = value
    return fields


def query_fields(names: Mapping[str, str]) -> dict[str, str]:
    fields = {name: names.get(f"X-Amz-{name}", "") for name in V4_PARAMETERS}
    if not all(f"X-Amz-{name}" in names for name in V4_PARAMETERS):
        raise Refused("AuthorizationQueryParametersError", _MISSING)
    if fields["Algorithm"] != sigv4.ALGORITHM:
        raise Refused("AuthorizationQueryParametersError", f'X-Amz-Algorithm only supports "{sigv4.ALGORITHM}".')
    return fields


def check_life(amz_date: str, expires: str, now: float) -> None:
    start = parse_date(amz_date) if _AMZ_DATE.fullmatch(amz_date) else None
    if start is None:
        text = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        raise Refused("AuthorizationQueryParametersError", text)
    if not re.fullmatch(r"[+-]?\d{1,18}", expires):
        raise Refused("AuthorizationQueryParametersError", "X-Amz-Expires should be a number")
    if int(expires) < 0:
        raise Refused("AuthorizationQueryParametersError", "X-Amz-Expires must be non-negative")
    if int(expires) > WEEK:
        text = (
            "X-Amz-Expires must be less than a week (in seconds); that is, "
            f"the given X-Amz-Expires must be less than {WEEK} seconds"
        )
        raise Refused("AuthorizationQueryParametersError", text)
    if start - now > SKEW:
        raise Refused("AccessDenied", "Request is not valid yet")
    if now - start >= int(expires):
        raise Refused("AccessDenied", "Request has expired")


def parse_scope(credential: str) -> tuple[str, str, str, str]:
    """Split a credential into access key (which may hold `/`), date, region and service; raise Refused."""
    parts = credential.rsplit("/", 4)
    if len(parts) != 5:
        raise Refused("AuthorizationQueryParametersError", _BAD_CREDENTIAL)
    access_key, date, region, service, terminator = parts
    problem = None
    if not _SCOPE_DATE.fullmatch(date):
        problem = 'incorrect date format. This date in the credential must be in the format "yyyyMMdd".'
    elif terminator != sigv4.TERMINATOR:
        problem = f'incorrect terminal. This endpoint uses "{sigv4.TERMINATOR}".'
    if problem:
        text = f"Error parsing the X-Amz-Credential parameter; {problem}"
        raise Refused("AuthorizationQueryParametersError", text)
    return access_key, date, region, service


def signed_headers(request: Request, names: str, query: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Return the signed headers with their values.

    Refused when `host` is not signed, a listed header is missing, or an `x-amz-` or `x-minio-` header came unsigned
    (AWS's rule: an added header must not change what a signed request does).
    """
    listed = names.split(";", MOST_SIGNED)
    signed = []
    headers = request.headers
    for name in listed:
        value = headers.get(name)
        if value is None:
            value = _absent(name, query)
        elif ", " in value:
            value = _joined(request, name, value)
        signed.append((name, sigv4.value_text(value) if name in headers else value))
    if "host" not in listed:
        raise Refused("AccessDenied", _NOT_SIGNED, status=400)
    for name in headers:
        if name.startswith(MEANT) and name not in listed:
            _unsigned(headers, listed)
    return signed


def refuse_added(headers: Mapping[str, str]) -> None:
    """Raise Refused for a header that says what to do and that a presigned SigV2 URL cannot cover."""
    if any(name.startswith("x-minio-") for name in headers):
        _unsigned({name: "" for name in headers if name.startswith("x-minio-")}, ())


def _unsigned(headers: Mapping[str, str], listed: Sequence[str]) -> NoReturn:
    culprits = [name for name in headers if name.startswith(MEANT) and name not in listed]
    raise Refused("AccessDenied", _NOT_SIGNED, extra={"HeadersNotSigned": ", ".join(culprits)})


def _absent(name: str, query: Mapping[str, str]) -> str:
    if name == "expect":  # removed by some proxies
        return "100-continue"
    for given, value in query.items():
        if given.lower() == name:
            return value
    raise Refused("AccessDenied", _NOT_SIGNED, status=400)


def _joined(request: Request, name: str, value: str) -> str:
    """Join a repeated header's values as they are signed: with a bare comma."""
    wanted = name.encode()
    values = [text for given, text in request.raw if given.lower() == wanted]
    if len(values) < 2:
        return value
    return ",".join([text.decode("latin-1").strip(" \t") for text in values])
