"""The keys under which a bucket keeps the ETags of sealed objects, so that a listing shows 1,000 of them at once.

An SSE-S3 ETag is the MD5 of the content and must not lie in clear; opening 1,000 object keys for a page would take
8 ms and as many key service calls. Each bucket has a list key of its own, made under the default key, kept in the
bucket's configuration under `list-key:<id>`. Workers that make one at the same time make two; both are kept.
Format: docs/formats/object-record.md, etag.
"""

import asyncio
import math
import os
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.crypto import context as contexts
from strongroom.crypto.fingerprint import fingerprint
from strongroom.errors import Error, Malformed
from strongroom.s3.domain.key_errors import KeyNotFound, NoKeyService, WrongCiphertext
from strongroom.s3.domain.ports import DataKeys, ObjectStore
from strongroom.s3.domain.records import BucketRecord

HIDDEN = b"\x01"  # first byte of an ETag that is sealed under a list key
ID_SIZE = 4  # bytes
NONCE_SIZE = 12  # bytes
NAME = "list-key:"  # and the id in hex: name of the configuration document
RETRY_SECONDS = 5.0  # before the key service is asked again for a key it did not give


def veiled(stored: bytes) -> str:
    """Return what is shown of an ETag that cannot be revealed now: stable, and no MD5 of anything."""
    return stored[-16:].hex()


class ListKeys:
    """A bucket's list keys, open. ciphers: id → cipher, the first one seals."""

    def __init__(self, ciphers: dict[bytes, AESGCM]) -> None:
        self.ciphers = ciphers
        self.known = len(ciphers)

    def hide(self, etag: str, key: str) -> bytes:
        """Return the ETag of object `key` as the store keeps it; in clear when there is no list key."""
        for identity, cipher in self.ciphers.items():
            nonce = os.urandom(NONCE_SIZE)
            return HIDDEN + identity + nonce + cipher.encrypt(nonce, etag.encode(), key.encode())
        raise NoKeyService

    def reveal(self, stored: bytes, key: str) -> str:
        """Return the ETag that clients see; of one that cannot be opened, something stable that is no MD5."""
        if stored[:1] != HIDDEN:
            return stored.decode()
        cipher = self.ciphers.get(stored[1 : 1 + ID_SIZE])
        start = 1 + ID_SIZE + NONCE_SIZE
        if cipher is None:
            return veiled(stored)
        try:
            return cipher.decrypt(stored[1 + ID_SIZE : start], stored[start:], key.encode()).decode()
        except InvalidTag:
            return veiled(stored)


EMPTY = ListKeys({})


class SealedListKey(msgspec.Struct, frozen=True, array_like=True):
    """The configuration document of a list key: key name and data key ciphertext (docs/formats/object-record.md)."""

    key_name: str
    ciphertext: bytes


class ListKeyring:
    """Opens and makes list keys; keeps them in memory, also while their key is locked."""

    def __init__(self, keys: DataKeys | None, store: ObjectStore, now: Callable[[], float]) -> None:
        self._keys = keys
        self._store = store
        self._now = now
        self._open: dict[str, tuple[frozenset[str], ListKeys]] = {}  # bucket's uuid → names, keys
        self._retry: dict[str, float] = {}  # bucket's uuid → when to ask again
        self._making = asyncio.Lock()

    async def get(self, record: BucketRecord, *, make: bool) -> ListKeys:
        """Return a bucket's list keys, all that can be had now; make: raise unless there is one to seal with."""
        opened = self._open.get(record.uuid)
        usable = opened is not None and (opened[1].known or not make)
        if opened is not None and usable and not _new_names(record, opened[0]) and not self._look_again(record):
            return opened[1]
        names = frozenset([name for name in record.config if name.startswith(NAME)])
        if not names and not make:
            return EMPTY
        if not make and self._retry.get(record.uuid, 0.0) > self._now():
            return opened[1] if opened is not None else EMPTY
        return await self._load(record, names, make)

    async def _load(self, record: BucketRecord, names: frozenset[str], make: bool) -> ListKeys:
        opened = self._open.get(record.uuid)
        ciphers: dict[bytes, AESGCM] = dict(opened[1].ciphers) if opened is not None else {}
        failure: Error | None = None
        for name in sorted(names):
            if bytes.fromhex(name.removeprefix(NAME)) in ciphers:
                continue
            try:
                ciphers[bytes.fromhex(name.removeprefix(NAME))] = await self._unseal(record, record.config[name])
            except (KeyNotFound, WrongCiphertext):  # deleted, or another key under its name: it will hardly come back
                self._retry[record.uuid] = self._now() + RETRY_SECONDS
            except Error as error:
                self._retry[record.uuid] = self._now() + RETRY_SECONDS
                failure = error
        if make and not ciphers:
            if failure is not None:
                raise failure
            return await self._make(record, names)
        found = ListKeys(ciphers)
        if ciphers:  # those that are missing are asked for again later
            self._open[record.uuid] = (names, found)
        if len(ciphers) == len(names):
            self._retry.pop(record.uuid, None)
        return found

    def _look_again(self, record: BucketRecord) -> bool:
        """Say whether it is time to try a list key again that could not be opened; it may have come back."""
        return self._retry.get(record.uuid, math.inf) <= self._now()

    async def _unseal(self, record: BucketRecord, document: bytes) -> AESGCM:
        if self._keys is None:
            raise NoKeyService
        try:
            sealed = msgspec.msgpack.decode(document, type=SealedListKey)
        except msgspec.DecodeError as error:
            raise Malformed(f"list key of {record.name}: {error}") from error
        return AESGCM(bytes(await self._keys.unseal(sealed.key_name, sealed.ciphertext, _context(record))))

    async def _make(self, record: BucketRecord, lost: frozenset[str]) -> ListKeys:
        """Make a list key, unless somebody else just did; lost: those that exist and can never be opened again."""
        if self._keys is None:
            raise NoKeyService
        async with self._making:
            current = await self._store.bucket(record.name)
            names = frozenset([name for name in current.config if name.startswith(NAME)])
            if names - lost:
                return await self._load(current, names, True)
            made = await self._keys.generate("", _context(record))
            identity = fingerprint(made.plaintext.reveal())[:ID_SIZE]
            name = NAME + identity.hex()
            document = msgspec.msgpack.encode(SealedListKey(made.key_name, made.ciphertext))
            await self._store.configure(record.name, {name: document})
            found = ListKeys({identity: AESGCM(bytes(made.plaintext))})
            self._open[record.uuid] = (lost | {name}, found)
            return found


def _new_names(record: BucketRecord, known: frozenset[str]) -> bool:
    return any(name.startswith(NAME) and name not in known for name in record.config)


def _context(record: BucketRecord) -> bytes:
    return contexts.canonical({record.name: record.name, "strongroom": "list-key"})
