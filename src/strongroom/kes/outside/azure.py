"""Keys in Azure Key Vault over its REST interface, one secret a key, the oldest version counts (kes.md 6.7).

REST: https://learn.microsoft.com/rest/api/keyvault/secrets, API version 7.4.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from strongroom.errors import BadSettings, Error
from strongroom.kes.domain.errors import KeyExists, KeyNotFound, StoreFailed
from strongroom.kes.domain.pages import page
from strongroom.kes.domain.settings import AzureSettings
from strongroom.kes.outside.rest import Answer, Rest, Token, fetch_token
from strongroom.net.client import HttpClient

API = "api-version=7.4"
LOGIN = "https://login.microsoftonline.com"
METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
RESOURCE = "https://vault.azure.net"
PURGES = 25  # attempts to remove a deleted secret for good
PAUSE_SECONDS = 0.5
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")


class AzureStore:
    """See KeyStore. Names with `_` cannot be stored: Azure does not allow them."""

    def __init__(self, settings: AzureSettings, rest: Rest, pause: float = PAUSE_SECONDS) -> None:
        """pause is in seconds, between attempts to purge."""
        self.description = f"Azure KeyVault: {settings.endpoint}"
        self._endpoint = settings.endpoint.rstrip("/")
        self._rest, self._pause = rest, pause

    @classmethod
    async def connect(
        cls, settings: AzureSettings, *, login: str = LOGIN, pause: float = PAUSE_SECONDS
    ) -> "AzureStore":
        """Try the endpoint; raise BadSettings or StoreUnreachable."""
        if "://" not in settings.endpoint:
            raise BadSettings(f"keystore.azure: endpoint '{settings.endpoint}' needs a scheme, as in https://...")
        store = cls(settings, Rest("azure", HttpClient(), _tokens(settings, login)), pause)
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
        """See KeyStore. Setting a secret twice makes two versions: the oldest one's author is who created it."""
        if (await self._call("GET", name)).status == 200:
            raise KeyExists(name)
        answer = await self._call("PUT", name, {"value": value.decode()}, accept=(409,))
        for _ in range(PURGES):
            if answer.status != 409:
                break
            await self._purge(name)  # a deleted secret still holds the name
            await asyncio.sleep(self._pause)
            answer = await self._call("PUT", name, {"value": value.decode()}, accept=(409,))
        if answer.status == 409:
            raise StoreFailed(f"azure: '{name}' is being deleted")
        ours = str(answer.document.get("id", "")).rpartition("/")[2]
        if await self._oldest(name) != ours and await self.get(name) != value:  # ours, if an answer was lost on the way
            raise KeyExists(f"{name}: somebody else was a moment earlier")

    async def get(self, name: str) -> bytes:
        """See KeyStore."""
        version = await self._oldest(name)
        document = (await self._call("GET", f"{name}/{version}", accept=())).document
        return str(document.get("value", "")).encode()

    async def delete(self, name: str) -> None:
        """See KeyStore; absence is not reported, as in the original."""
        await self._call("DELETE", name)
        await self._purge(name)

    async def names(self, prefix: str, after: str, limit: int) -> list[str]:
        """See KeyStore."""
        found = [str(secret.get("id", "")).rpartition("/")[2] for secret in await self._all(f"secrets?{API}")]
        return page(found, prefix, after, limit)

    async def close(self) -> None:
        """See KeyStore."""
        await self._rest.close()

    async def _oldest(self, name: str) -> str:
        """Return the oldest version's id; raise KeyNotFound."""
        self._check(name)
        versions = await self._all(f"secrets/{name}/versions?{API}")
        if not versions:
            raise KeyNotFound(name)
        oldest = min(versions, key=lambda one: one.get("attributes", {}).get("created", 0))
        return str(oldest.get("id", "")).rpartition("/")[2]

    async def _all(self, path: str) -> list[dict[str, Any]]:
        """Return all pages of a listing; none for what is not there."""
        found: list[dict[str, Any]] = []
        url: str | None = f"{self._endpoint}/{path}"
        while url:
            answer = await self._rest.call("GET", url, accept=frozenset({404}))
            found += answer.document.get("value") or []
            url = answer.document.get("nextLink")
        return found

    async def _purge(self, name: str) -> None:
        for _ in range(PURGES):
            url = f"{self._endpoint}/deletedsecrets/{name}?{API}"
            answer = await self._rest.call("DELETE", url, accept=frozenset({403, 404, 409}))
            if answer.status != 409:
                return  # gone, or not ours to purge: then the name stays taken for the vault's waiting period
            await asyncio.sleep(self._pause)

    async def _call(self, method: str, path: str, document: object = None, accept: tuple[int, ...] = (404,)) -> Answer:
        self._check(path.partition("/")[0])
        url = f"{self._endpoint}/secrets/{path}?{API}"
        return await self._rest.call(method, url, document, accept=frozenset(accept))

    def _check(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise StoreFailed(f"azure: key name '{name}' contains characters that Azure does not allow")


def _tokens(settings: AzureSettings, login: str) -> Callable[[HttpClient], Awaitable[Token]]:
    """Return what fetches tokens: with a client secret, the environment's, or a managed identity."""
    tenant, client, secret = settings.tenant, settings.client, settings.secret
    if not client and not settings.managed_identity:
        tenant, client, secret = (
            os.environ.get(f"AZURE_{one}", "") for one in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")
        )

    async def with_secret(http: HttpClient) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": secret,
            "scope": f"{RESOURCE}/.default",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url = f"{login}/{tenant}/oauth2/v2.0/token"
        return await fetch_token("azure", http, "POST", url, headers, urlencode(form).encode())

    async def managed(http: HttpClient) -> Token:
        query = {"api-version": "2018-02-01", "resource": RESOURCE}
        if settings.managed_identity:
            query["client_id"] = settings.managed_identity
        return await fetch_token("azure", http, "GET", f"{METADATA}?{urlencode(query)}", {"Metadata": "true"})

    return with_secret if client else managed
