"""Who signed a request: chooses the scheme (s3.md 3.1) and checks SigV4 headers and presigned URLs (3.2)."""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NoReturn

from strongroom.messages import Request
from strongroom.s3.domain.principals import ANONYMOUS, Credential, Directory, Principal
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import sigv2, sigv4

SKEW = 15 * 60  # seconds a client's clock may be off
WEEK = 7 * 24 * 3600  # seconds, the longest life of a presigned URL
V4_PARAMETERS = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")
STREAMING = "STREAMING-"

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


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature said about the body.

    payload   the value of x-amz-content-sha256 (a hash, UNSIGNED-PAYLOAD or a STREAMING- marker)
    seed, amz_date, scope, key   what chunk signatures continue from (SigV4 headers only)
    """

    principal: Principal
    payload: str = sigv4.UNSIGNED_PAYLOAD
    seed: str = ""
    amz_date: str = ""
    scope: str = ""
    key: bytes = field(default=b"", repr=False)
    presigned: bool = False


class SigningKeys:
    """Signing keys of recent (secret, day, region), derived once: four HMACs saved per request."""

    LIMIT = 4096  # entries; all are dropped when it is reached

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str, str, str], bytes] = {}

    def get(self, secret: str, date: str, region: str, service: str = "s3") -> bytes:
        """Return the signing key."""
        key = self._keys.get((secret, date, region, service))
        if key is None:
            if len(self._keys) >= self.LIMIT:
                self._keys.clear()
            key = self._keys[secret, date, region, service] = sigv4.signing_key(secret, date, region, service)
        return key


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks signatures for one server. region "" accepts any; sigv2 may be turned off."""

    directory: Directory
    region: str = ""
    allow_sigv2: bool = True
    domains: tuple[str, ...] = ()
    keys: SigningKeys = field(default_factory=SigningKeys)

    def verify(
        self,
        request: Request,
        query: sigv4.Pairs,
        now: float,
        *,
        any_region: bool = False,
        body_hash: str = sigv4.EMPTY_SHA256,
    ) -> Signed:
        """Return who signed the request (anonymous without a signature); raise Refused.

        body_hash: what a SigV4 header without x-amz-content-sha256 covers (STS requests: the body's SHA-256).
        """
        headers = request.headers
        names = dict(query) if query else {}
        scheme = _scheme(headers.get("authorization"), names)
        if scheme == "v4":
            return self._v4_header(request, query, names, now, any_region, body_hash)
        if scheme == "v4-query":
            return self._v4_query(request, query, names, now, any_region)
        if scheme == "none":
            return Signed(ANONYMOUS, headers.get("x-amz-content-sha256", sigv4.UNSIGNED_PAYLOAD))
        if not self.allow_sigv2:
            raise Refused("InvalidRequest", _UNSUPPORTED, early=True)
        return self._v2(request, query, names, now, scheme)

    def _v4_header(
        self,
        request: Request,
        query: sigv4.Pairs,
        names: Mapping[str, str],
        now: float,
        any_region: bool,
        body_hash: str,
    ) -> Signed:
        headers = request.headers
        amz_date = header_date(headers, now)
        claim, given = _claim(headers["authorization"])
        access_key, date, region, service, signed_names = claim
        if service not in ("s3", "sts"):
            raise Refused("AuthorizationParametersError", _WRONG_SERVICE)
        credential = self.credential(access_key)
        self._check_region(region, any_region)
        payload = headers.get("x-amz-content-sha256", body_hash)
        check_token(credential, headers.get("x-amz-security-token", ""), now)
        if date != amz_date[:8]:
            raise Refused("SignatureDoesNotMatch")
        key = self.keys.get(credential.secret, date, region, service)
        where = f"{date}/{region}/{service}/aws4_request"
        self._compare(request, query, names, signed_names, payload, amz_date, where, key, given)
        return Signed(Principal(credential), payload, given, amz_date, where, key)

    def _v4_query(
        self, request: Request, query: sigv4.Pairs, names: Mapping[str, str], now: float, any_region: bool
    ) -> Signed:
        fields = _query_fields(names)
        access_key, date, region, service = parse_scope(fields["Credential"])
        if service != "s3":
            raise Refused("AuthorizationParametersError", _WRONG_SERVICE)
        amz_date = fields["Date"]
        _check_life(amz_date, fields["Expires"], now)
        credential = self.credential(access_key)
        self._check_region(region, any_region)
        check_token(credential, names.get("X-Amz-Security-Token", request.headers.get("x-amz-security-token", "")), now)
        if date != amz_date[:8]:
            raise Refused("SignatureDoesNotMatch")
        payload = (
            request.headers.get("x-amz-content-sha256") or names.get("X-Amz-Content-Sha256") or sigv4.UNSIGNED_PAYLOAD
        )
        key = self.keys.get(credential.secret, date, region)
        where = sigv4.scope(date, region)
        self._compare(
            request, query, names, fields["SignedHeaders"], payload, amz_date, where, key, fields["Signature"]
        )
        return Signed(Principal(credential), payload, fields["Signature"], amz_date, where, key, presigned=True)

    def _compare(
        self,
        request: Request,
        query: sigv4.Pairs,
        names: Mapping[str, str],
        signed_names: str,
        payload: str,
        amz_date: str,
        where: str,
        key: bytes,
        given: str,
    ) -> None:
        signed = signed_headers(request, signed_names, names)
        text = sigv4.canonical_query(query) if query else ""
        path = sigv4.canonical_path(request.path)
        for candidate in (path, request.path) if path != request.path else (path,):  # some clients sign what they send
            canonical = sigv4.canonical_request(request.method, candidate, text, signed, payload)
            wanted = sigv4.signature(key, sigv4.string_to_sign(amz_date, where, canonical))
            if hmac.compare_digest(wanted.encode(), given.encode()):
                return
        raise Refused("SignatureDoesNotMatch")

    def _check_region(self, region: str, any_region: bool) -> None:
        if self.region and not any_region and region not in (self.region, "US" if self.region == "us-east-1" else ""):
            raise Refused(
                "AuthorizationHeaderMalformed",
                f"The authorization header is malformed; the region is wrong; expecting '{self.region}'.",
                extra={"Region": self.region},
            )

    def credential(self, access_key: str) -> Credential:
        """Return the credential of an access key; raise Refused for an unknown or disabled one."""
        credential = self.directory.find(access_key) if access_key else None
        if credential is None or not credential.enabled:
            raise Refused("InvalidAccessKeyId", extra={"AWSAccessKeyId": access_key} if access_key else None)
        return credential

    def _v2(self, request: Request, query: sigv4.Pairs, names: Mapping[str, str], now: float, scheme: str) -> Signed:
        if scheme == "v2":
            header_date(request.headers, now, bad_date="AccessDenied")
            access_key, given = sigv2.parse_header(request.headers["authorization"])
        else:
            access_key, given = sigv2.parse_query(names, now)
        credential = self.credential(access_key)
        token = request.headers.get("x-amz-security-token") or names.get("x-amz-security-token", "")
        check_token(credential, token, now)
        if not sigv2.matches(request, query, credential.secret, given, self.domains, presigned=scheme == "v2-query"):
            raise Refused("SignatureDoesNotMatch")
        payload = request.headers.get("x-amz-content-sha256", sigv4.UNSIGNED_PAYLOAD)
        return Signed(Principal(credential), payload, presigned=scheme == "v2-query")


_UNSUPPORTED = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
_WRONG_SERVICE = (
    'Error parsing the Credential/X-Amz-Credential parameter; incorrect service. This endpoint belongs to "s3".'
)


def _scheme(authorization: str | None, names: Mapping[str, str]) -> str:
    in_query = "v4-query" if "X-Amz-Credential" in names else "v2-query" if "AWSAccessKeyId" in names else ""
    if authorization is None:
        return in_query or "none"
    if in_query:
        text = "Invalid Request (request has multiple authentication types, please use one)"
        raise Refused("InvalidRequest", text, early=True)
    if authorization.startswith(sigv4.ALGORITHM):
        return "v4"
    if authorization.startswith("AWS "):
        return "v2"
    if authorization.startswith("Bearer "):
        raise Refused("AccessDenied")
    raise Refused("InvalidRequest", _UNSUPPORTED, early=True)


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


@lru_cache(maxsize=4096)
def parse_date(text: str) -> float | None:
    """Return seconds since the epoch for the basic ISO or the HTTP form, None for anything else."""
    try:
        if _AMZ_DATE.fullmatch(text):
            fields = (text[:4], text[4:6], text[6:8], text[9:11], text[11:13], text[13:15])
            year, month, day, hour, minute, second = map(int, fields)
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()


def _claim(authorization: str) -> tuple[tuple[str, str, str, str, str], str]:
    """Return access key, date, region, service and signed names of an Authorization header, and its signature."""
    head, mark, given = authorization.rpartition("Signature=")
    if not mark or not given.isalnum():  # another order, or a fault that has its own refusal
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


def _query_fields(names: Mapping[str, str]) -> dict[str, str]:
    fields = {name: names.get(f"X-Amz-{name}", "") for name in V4_PARAMETERS}
    if not all(f"X-Amz-{name}" in names for name in V4_PARAMETERS):
        raise Refused("AuthorizationQueryParametersError", _MISSING)
    if fields["Algorithm"] != sigv4.ALGORITHM:
        raise Refused("AuthorizationQueryParametersError", f'X-Amz-Algorithm only supports "{sigv4.ALGORITHM}".')
    return fields


def _check_life(amz_date: str, expires: str, now: float) -> None:
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


def check_token(credential: Credential, token: str, now: float) -> None:
    """Compare the session token with the credential's; raise Refused for a wrong or expired one."""
    if token != credential.token and not hmac.compare_digest(token.encode(), credential.token.encode()):
        raise Refused("InvalidTokenId")
    if credential.expires and now >= credential.expires:
        raise Refused("ExpiredToken")


def signed_headers(request: Request, names: str, query: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Return the signed headers with their values.

    Refused when `host` is not signed, a listed header is missing, or an `x-amz-` header came unsigned (AWS's rule:
    an added header must not change what a signed request does).
    """
    listed = names.split(";")
    signed = []
    headers = request.headers
    for name in listed:
        value = headers.get(name)
        if value is None:
            value = _absent(name, query)
        elif ", " in value:
            value = _joined(request, name, value)
        signed.append((name, value))
    if "host" not in listed:
        raise Refused("AccessDenied", _NOT_SIGNED, status=400)
    for name in headers:
        if name.startswith("x-amz-") and name not in listed:
            _unsigned(headers, listed)
    return signed


def _unsigned(headers: Mapping[str, str], listed: Sequence[str]) -> NoReturn:
    culprits = [name for name in headers if name.startswith("x-amz-") and name not in listed]
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
    return ",".join([sigv4.canonical_value(text.decode("latin-1")) for text in values])
