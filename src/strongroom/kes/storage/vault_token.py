"""Keeps a Vault token alive: logs in, renews at 80 % of its life, logs in again when that fails (kes.md 6.4)."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from strongroom.errors import BadSettings, Error, Unavailable
from strongroom.kes.domain.settings import VaultLogin
from strongroom.sdk.vault import Login, VaultClient

AGAIN_SECONDS = 3.0  # between login attempts
SHORT_SECONDS = 30.0  # a shorter life is not worth renewing
RENEWALS = 3


class TokenKeeper:
    """Owns the client's token."""

    def __init__(self, client: VaultClient, login: VaultLogin, warn: Callable[[str], None]) -> None:
        self._client, self._settings, self._warn = client, login, warn
        self._current = Login("", 0, False)
        self._since = 0.0  # when the current token was given, monotonic
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()

    async def login(self) -> None:
        """Get a token and use it; raise Denied, Unavailable or BadSettings."""
        settings = self._settings
        if settings.method == "approle":
            document = {"role_id": settings.id, "secret_id": settings.secret}
        else:
            document = {"role": settings.role, "jwt": jwt_of(settings.jwt)}
        namespace = None if not settings.namespace else settings.namespace.strip("/")
        token = os.environ.get("VAULT_TOKEN", "")
        self._use(await self._client.login(settings.engine, document, namespace=namespace, token=token))

    async def login_again(self) -> bool:
        """After a refusal: log in anew if the token is no longer known. Say whether it is worth trying again.

        Raises what the login raises, when there is no good token.
        """
        refused = self._client.token
        async with self._turn:
            if self._client.token != refused:
                return True  # somebody else has logged in meanwhile
            try:
                if await self._client.token_is_good():
                    return False
                await self.login()
            except Error as error:
                self._warn(f"vault: cannot log in again: {error}")
                raise
        return True

    async def keep(self) -> None:
        """Keep a good token for ever."""
        while True:
            life = self._current.lease
            if not life and self._current.token:
                await self._changed.wait()  # a token without an end
                self._changed.clear()
                continue
            if life < SHORT_SECONDS:
                await asyncio.sleep(AGAIN_SECONDS)
                await self._try_login()
                continue
            await asyncio.sleep(max(0.0, self._since + life * 0.8 - time.monotonic()))
            if self._current.renewable and await self._try_renew():
                continue
            await self._try_login()

    async def _try_renew(self) -> bool:
        for _ in range(RENEWALS):
            try:
                self._use(await self._client.renew())
            except Unavailable as error:
                self._warn(f"vault: cannot renew the token yet: {error}")
                await asyncio.sleep(1)
            except Exception as error:
                self._warn(f"vault: the token cannot be renewed: {error}")
                return False
            else:
                return True
        return False

    async def _try_login(self) -> None:
        async with self._turn:
            try:
                await self.login()
            except Exception as error:  # whatever it is, without a login there are no keys: it is tried again
                self._warn(f"vault: cannot log in: {error}")
                self._current = Login("", 1.0, False)  # try again soon; the old token may still serve

    def _use(self, login: Login) -> None:
        self._current, self._since = login, time.monotonic()
        self._client.token = login.token
        self._changed.set()


def jwt_of(value: str) -> str:
    """Return a Kubernetes token: the value, or the content of the file that it names, read at every login."""
    if "/" not in value:
        return value
    try:
        return Path(value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise BadSettings(f"failed to read vault kubernetes JWT from '{value}': {why}") from error
