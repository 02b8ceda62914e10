"""Keys in GCP Secret Manager over its REST interface, one secret a key, its value in version 1 (kes.md 6.6).

REST: https://cloud.google.com/secret-manager/docs/reference/rest. Tokens: RFC 7523 with a service account's key, or
the metadata server of the machine.
"""

import base64
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from strongroom.errors import BadSettings, Error, Unavailable
from strongroom.kes.domain.errors import (
    KeyExists,
    KeyNotFound,
    StoreDenied,
    StoredKeyDamaged,
    StoreFailed,
    StoreUnreachable,
)
from strongroom.kes.domain.pages import page
from strongroom.kes.domain.settings import GcpSettings
from strongroom.kes.outside.rest import Rest, Token, fetch_token
from strongroom.net.client import HttpClient
from strongroom.net.pem import private_key

ENDPOINT = "https://secretmanager.googleapis.com"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105
METADATA_URL = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PAGE = 1000
_MEMBERS = ("client_email", "client_id", "private_key_id", "private_key")


class GcpStore:
    """See KeyStore. All secrets of the project are listed."""

    def __init__(self, settings: GcpSettings, rest: Rest) -> None:
        self.description = f"GCP SecretManager: Project={settings.project}"
        self._endpoint = (settings.endpoint or ENDPOINT).rstrip("/")
        self._secrets = f"{self._endpoint}/v1/projects/{settings.project}/secrets"
        self._rest = rest

    @classmethod
    async def connect(cls, settings: GcpSettings, *, token_url: str = TOKEN_URL) -> "GcpStore":
        """Try the endpoint; raise BadSettings or StoreUnreachable."""
        if settings.endpoint and "://" not in settings.endpoint:
            raise BadSettings(f"keystore.gcp: endpoint '{settings.endpoint}' needs a scheme, as in https://...")
        store = cls(settings, Rest("gcp", HttpClient(), _tokens(settings, token_url)))
        try:
            await store.status()
        except Error:
            await store.close()
            raise
        return store

    @property
    def clock_ahead(self) -> float:
        """See KeyStore."""
        return self._rest.clock.ahead

    async def status(self) -> float:
        """See KeyStore: any answer counts."""
        return await self._rest.reach(self._endpoint)

    async def create(self, name: str, value: bytes) -> None:
        """See KeyStore. Whoever adds version 1 has created the key.

        A secret without a version is what a create that failed has left: the next one takes it over. Nothing is ever
        removed here, because a version may have been stored although the answer was an error, or by somebody else.
        """
        document: dict[str, Any] = {"replication": {"automatic": {}}}
        url = f"{self._secrets}?{urlencode({'secretId': name})}"
        made = await self._rest.call("POST", url, document, accept=frozenset({409}))
        if made.status == 409 and await self._version_1(name) is not None:
            raise KeyExists(name)
        added, failure = "", Unavailable(f"gcp: '{name}' has no version")
        try:
            payload = {"payload": {"data": base64.b64encode(value).decode()}}
            url = f"{self._secrets}/{name}:addVersion"
            added = str((await self._rest.call("POST", url, payload, accept=frozenset())).document.get("name", ""))
        except StoreDenied:
            raise
        except (StoreFailed, StoreUnreachable) as error:
            failure = error
        if added.endswith("/versions/1"):
            return
        stored = await self._version_1(name)
        if stored is None:
            raise failure
        if stored != value:
            raise KeyExists(f"{name}: somebody else was a moment earlier")

    async def _version_1(self, name: str) -> bytes | None:
        try:
            return await self.get(name)
        except KeyNotFound:
            return None

    async def get(self, name: str) -> bytes:
        """See KeyStore."""
        answer = await self._rest.call("GET", f"{self._secrets}/{name}/versions/1:access", accept=frozenset({404}))
        if answer.status == 404:
            raise KeyNotFound(name)
        try:
            return base64.b64decode(answer.document["payload"]["data"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise StoredKeyDamaged(f"gcp: '{name}' holds no value") from error

    async def delete(self, name: str) -> None:
        """See KeyStore."""
        answer = await self._rest.call("DELETE", f"{self._secrets}/{name}", accept=frozenset({404}))
        if answer.status == 404:
            raise KeyNotFound(name)

    async def names(self, prefix: str, after: str, limit: int) -> list[str]:
        """See KeyStore."""
        found: list[str] = []
        token = ""
        while True:
            query = urlencode({"pageSize": _PAGE} | ({"pageToken": token} if token else {}))
            document = (await self._rest.call("GET", f"{self._secrets}?{query}", accept=frozenset())).document
            found += [str(secret.get("name", "")).rpartition("/")[2] for secret in document.get("secrets", [])]
            token = str(document.get("nextPageToken") or "")
            if not token:
                return page(found, prefix, after, limit)

    async def close(self) -> None:
        """See KeyStore."""
        await self._rest.close()


def _tokens(settings: GcpSettings, token_url: str) -> Callable[[HttpClient], Awaitable[Token]]:
    """Return what fetches tokens: with the settings' service account, the environment's, or the machine's."""
    account = {name: getattr(settings, name) for name in _MEMBERS}
    if any(account.values()) and not all(account.values()):
        raise BadSettings(f"keystore.gcp: credentials need all of {', '.join(_MEMBERS)}")
    if not any(account.values()) and os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        account = _from_file(Path(os.environ["GOOGLE_APPLICATION_CREDENTIALS"]))
    if not any(account.values()):
        return _ambient
    key = private_key(str(account["private_key"]).encode())
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadSettings("keystore.gcp: the service account's key is no RSA key")
    scope = " ".join(settings.scopes) or SCOPE

    async def fetch(http: HttpClient) -> Token:
        assertion = _assertion(account, key, scope, token_url)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await fetch_token("gcp", http, "POST", token_url, headers, urlencode(form).encode())

    return fetch


def _from_file(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
        return {name: document.get(name, "") for name in _MEMBERS}
    except (OSError, ValueError, AttributeError) as error:
        raise BadSettings(f"GOOGLE_APPLICATION_CREDENTIALS: {path}: {error}") from error


async def _ambient(http: HttpClient) -> Token:
    return await fetch_token("gcp", http, "GET", METADATA_URL, {"Metadata-Flavor": "Google"})


def _assertion(account: dict[str, Any], key: rsa.RSAPrivateKey, scope: str, audience: str) -> str:
    """Return a JWT signed with the account's key (RFC 7523, 3)."""
    now = int(time.time())
    header = {"alg": "RS256", "typ": "JWT", "kid": account["private_key_id"]}
    claims = {"iss": account["client_email"], "scope": scope, "aud": audience, "iat": now, "exp": now + 3600}
    signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
