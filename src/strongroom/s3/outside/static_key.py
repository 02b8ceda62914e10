"""Data keys from one key in the server's own settings: MINIO_KMS_SECRET_KEY and its forerunners (sse.md 1.4, 9)."""

import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from strongroom.crypto import keyciphertext
from strongroom.crypto.fingerprint import fingerprint
from strongroom.crypto.secret import Secret
from strongroom.errors import AlreadyExists, NotSupported, Tampered
from strongroom.s3.domain.key_errors import KeyNotFound, WrongCiphertext
from strongroom.s3.domain.ports import DataKey, DataKeys

KEPT = 8192  # opened data keys; 300 bytes each


class StaticKey:
    """DataKeys under one named 32-byte key, and the port for operators (domain/key_service.py).

    Ciphertexts are those of a KES that holds the same key. Nothing is shared: a data key takes 4 µs. Those that were
    opened last are kept, because seals are kept as long as the data key that opened them (handlers/opened.py).
    """

    kind = "MinIO builtin"

    def __init__(self, name: str, key: bytes | Secret) -> None:
        self.default_key = name
        self.keys: DataKeys = self
        self._key = key if isinstance(key, Secret) else Secret(key)
        if len(self._key) != 32:
            raise ValueError(f"a key of {len(self._key)} bytes")
        self._fingerprint = fingerprint(self._key.reveal())
        self._opened: OrderedDict[tuple[bytes, bytes], Secret] = OrderedDict()  # ciphertext and context → data key

    async def generate(self, key_name: str, context: bytes, *, shared: bool = False) -> DataKey:
        """Make a data key; raise KeyNotFound for any other name. Making one costs less than keeping one: not shared."""
        self._check(key_name)
        plaintext = os.urandom(32)
        ciphertext = keyciphertext.seal(self._key.reveal(), plaintext, context)
        return DataKey(Secret(plaintext), ciphertext, self.default_key, 1, self._fingerprint)

    async def unseal(self, key_name: str, ciphertext: bytes, context: bytes) -> Secret:
        """Open a data key of any form since 2018; raise KeyNotFound, WrongCiphertext."""
        self._check(key_name)
        data_key = self._opened[ciphertext, context] = self._unseal(key_name, ciphertext, context)
        if len(self._opened) > KEPT:
            self._opened.popitem(last=False)
        return data_key

    def _unseal(self, key_name: str, ciphertext: bytes, context: bytes) -> Secret:
        try:
            return Secret(keyciphertext.open(self._key.reveal(), ciphertext, context))
        except Tampered as error:
            if len(ciphertext) != 64:
                raise WrongCiphertext(str(error)) from error
        try:  # 2018 to April 2021 (MINIO_SSE_MASTER_KEY, MINIO_KMS_MASTER_KEY)
            return Secret(keyciphertext.open_master(self._key.reveal(), key_name, ciphertext, context))
        except Tampered as error:
            raise WrongCiphertext(str(error)) from error

    def kept(self, key_name: str, ciphertext: bytes, context: bytes, *, use: bool = False) -> Secret | None:
        """Return a data key that was opened before."""
        return self._opened.get((ciphertext, context)) if key_name in ("", self.default_key) else None

    def kept_shared(self, key_name: str, context: bytes) -> DataKey | None:
        """Return None: nothing is shared."""
        return None

    async def start(self) -> list[str]:
        """Nothing needs to be reached; no warnings."""
        return []

    async def close(self) -> None:
        """Overwrite the key, and forget those that it opened."""
        self._key.wipe()
        self._opened.clear()

    # ---- for operators
    async def endpoints(self) -> Mapping[str, str]:
        """Return this machine, as the original does."""
        return {"127.0.0.1": "online"}

    async def version(self) -> str:
        """Return the service's version."""
        return "v1"

    async def apis(self) -> Sequence[Mapping[str, Any]]:
        """Raise NotSupported: it has no routes."""
        raise NotSupported("requested functionality is not supported")

    async def names(self, prefix: str) -> Sequence[str]:
        """Return the one name, if it starts with prefix."""
        return [self.default_key] if self.default_key.startswith(prefix) else []

    async def create(self, name: str) -> None:
        """Raise AlreadyExists for the one name, NotSupported for any other."""
        if name == self.default_key:
            raise AlreadyExists("key with given key ID already exits")
        raise NotSupported("requested functionality is not supported")

    async def change(self, verb: str, name: str) -> Mapping[str, Any]:
        """Raise NotSupported: a key in the settings has no states."""
        raise NotSupported("requested functionality is not supported")

    async def delete(self, name: str, after_seconds: float) -> Mapping[str, Any]:
        """Raise NotSupported."""
        raise NotSupported("requested functionality is not supported")

    async def describe(self, name: str) -> Mapping[str, Any]:
        """Return what there is to tell; raise KeyNotFound for another name."""
        self._check(name)
        print16 = self._fingerprint.hex()
        return {"name": self.default_key, "state": "enabled", "version": 1, "fingerprint": print16}

    def _check(self, key_name: str) -> None:
        if key_name not in ("", self.default_key):
            raise KeyNotFound(f"the server's own key is {self.default_key!r}, not {key_name!r}")
