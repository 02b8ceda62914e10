"""Who signed a request: chooses the scheme (s3.md 3.1) and checks SigV4 headers and presigned URLs (3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from strongroom.messages import Request
from strongroom.s3.domain.principals import ANONYMOUS, Credential, Directory, Principal
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import sigv2, sigv4
from strongroom.s3.wire.carried import carried
from strongroom.s3.wire.claims import (
    check_life,
    header_claim,
    header_date,
    parse_scope,
    query_fields,
    refuse_added,
    signed_headers,
)

STREAMING = "STREAMING-"


@dataclass(slots=True, eq=False)  # frozen ones take four times as long to make
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
    REGION = 64  # characters of a region: longer ones, which nobody has, are not remembered

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str, str, str], bytes] = {}

    def get(self, secret: str, date: str, region: str, service: str = "s3") -> bytes:
        """Return the signing key."""
        key = self._keys.get((secret, date, region, service))
        if key is None:
            if len(region) > self.REGION:
                return sigv4.signing_key(secret, date, region, service)
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
        claim, given = header_claim(headers["authorization"])
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
        fields = query_fields(names)
        access_key, date, region, service = parse_scope(fields["Credential"])
        if service != "s3":
            raise Refused("AuthorizationParametersError", _WRONG_SERVICE)
        amz_date = fields["Date"]
        check_life(amz_date, fields["Expires"], now)
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
            if sigv4.same(wanted, given):
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
            refuse_added(request.headers)
            request = replace(request, headers={**request.headers, **carried(request, query)})
        credential = self.credential(access_key)
        check_token(credential, request.headers.get("x-amz-security-token", ""), now)
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


def check_token(credential: Credential, token: str, now: float) -> None:
    """Compare the session token with the credential's; raise Refused for a wrong or expired one."""
    if (token or credential.token) and not sigv4.same(credential.token, token):
        raise Refused("InvalidTokenId")
    if credential.expires and now >= credential.expires:
        raise Refused("ExpiredToken")
