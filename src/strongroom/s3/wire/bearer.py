"""Bearer tokens of scrapers: a JWT that a client signs with a secret key (HS512 or HS256; RFC 7519)."""

import base64
import binascii
import hmac
import json

from strongroom.s3.domain.principals import Credential, Directory
from strongroom.s3.domain.refusals import Refused

_DIGESTS = {"HS512": "sha512", "HS384": "sha384", "HS256": "sha256"}
MAX_TOKEN = 8 * 1024  # bytes


def _part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify(authorization: str, directory: Directory, now: float) -> Credential:
    """Return whose secret signed the token (its `sub`, else `accessKey`); raise Refused (403)."""
    scheme, _, token = authorization.partition(" ")
    parts = token.split(".")
    if scheme != "Bearer" or len(parts) != 3 or len(token) > MAX_TOKEN:
        raise Refused("AccessDenied")
    try:
        head, claims, seal = json.loads(_part(parts[0])), json.loads(_part(parts[1])), _part(parts[2])
        digest = _DIGESTS[head["alg"]]
        name, expires = claims.get("sub") or claims["accessKey"], float(claims["exp"])
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused("AccessDenied") from error
    credential = directory.find(name) if isinstance(name, str) else None
    if credential is None or not credential.enabled or now >= expires:
        raise Refused("AccessDenied")
    wanted = hmac.digest(credential.secret.encode(), f"{parts[0]}.{parts[1]}".encode(), digest)
    if not hmac.compare_digest(wanted, seal):
        raise Refused("AccessDenied")
    return credential
