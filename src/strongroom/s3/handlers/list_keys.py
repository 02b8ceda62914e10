"""The keys under which a bucket keeps the ETags of sealed objects, so that a listing shows 1,000 of them at once.

An SSE-S3 ETag is the MD5 of the content and must not lie in clear; opening 1,000 object keys for a page would take
8 ms and as many key service calls. Each bucket has a list key of its own, made under the default key, kept in the
bucket's configuration under `list-key:<id>`. Workers that make one at the same time make two; both are kept.
The same key vouches, in the ETag's column, for what of an encrypted object changes without its own key: tags, locks,
access control list. Format: docs/formats/object-record.md, etag.
"""

import asyncio
import contextlib
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import replace

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.crypto import context as contexts
from strongroom.crypto.fingerprint import fingerprint
from strongroom.errors import Error, Malformed
from strongroom.s3.domain.aside import aside
from strongroom.s3.domain.checksums import COMPOSITE, FULL_OBJECT
from strongroom.s3.domain.key_errors import (
    DECRYPT,
    KeyNotFound,
    KeyServiceAway,
    NoKeyService,
    ObjectTampered,
    WrongCiphertext,
)
from strongroom.s3.domain.object_record import ChecksumRecord, unpack_meta
from strongroom.s3.domain.ports import DataKeys, ObjectStore
from strongroom.s3.domain.records import BucketRecord, ObjectVersion

HIDDEN = b"\x01"  # first byte of an ETag that is sealed under a list key
VOUCHED = b"\x02"  # the same, with what it vouches for
_SEALED = (HIDDEN, VOUCHED)
_CODE = "\x01"  # between the text of an ETag and the code of the object's checksum (docs/formats/object-record.md)
_MARK = b"\0"  # between an ETag and what vouches for the rest
ID_SIZE = 4  # bytes
NONCE_SIZE = 12  # bytes
NAME = "list-key:"  # and the id in hex: name of the configuration document
_LETTERS = dict(zip(("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"), "ABCDE", strict=True))
CODES = {letter: (kind, FULL_OBJECT) for kind, letter in _LETTERS.items()}
CODES |= {letter.lower(): (kind, COMPOSITE) for kind, letter in _LETTERS.items()}
RETRY_SECONDS = 5.0  # before the key service is asked again for a key it did not give


def veiled(stored: bytes) -> str:
    """Return what is shown of an ETag that cannot be revealed now: stable, and no MD5 of anything."""
    return stored[-16:].hex()


def coded(etag: str, checksum: ChecksumRecord | None) -> str:
    """Return an ETag with the code of the object's checksum, as listings need it."""
    if checksum is None:
        return etag
    letter = _LETTERS[checksum.kind]
    return etag + _CODE + (letter.lower() if checksum.type == COMPOSITE else letter)


class ListKeys:
    """A bucket's list keys, open. ciphers: id → cipher, the first one seals; ids: of all that the bucket has."""

    def __init__(self, ciphers: dict[bytes, AESGCM], ids: frozenset[bytes] = frozenset()) -> None:
        self.ciphers = ciphers
        self.known = len(ciphers)
        self.ids = ids

    def hide(self, etag: str, key: str) -> bytes:
        """Return the ETag of a part of object `key` as the store keeps it."""
        return self._sealed(HIDDEN, etag.encode(), key.encode())

    def vouch(self, etag: str, key: str, aside: bytes, *, hidden: bool) -> bytes:
        """Return the ETag of an object as the store keeps it, with `aside`: what it vouches for (domain/aside.py).

        hidden: it is a digest of the content and must not lie in clear.
        """
        if hidden:
            return self._sealed(VOUCHED, etag.encode() + _MARK + aside, VOUCHED + key.encode())
        return self._sealed(etag.encode() + _MARK, aside, _clear(etag.encode(), key))

    def _sealed(self, head: bytes, content: bytes, about: bytes) -> bytes:
        for identity, cipher in self.ciphers.items():
            nonce = os.urandom(NONCE_SIZE)
            return head + identity + nonce + cipher.encrypt(nonce, content, about)
        raise NoKeyService

    def reveal(self, stored: bytes, key: str) -> str:
        """Return the ETag that clients see; of one that cannot be opened, something stable that is no MD5."""
        return self.text(stored, key).partition(_CODE)[0]

    def listed(self, stored: bytes, key: str) -> tuple[str, tuple[str, str] | None]:
        """Return the ETag that clients see, and algorithm and type of the object's checksum, None without one."""
        etag, mark, code = self.text(stored, key).partition(_CODE)
        return etag, CODES.get(code) if mark else None

    def text(self, stored: bytes, key: str) -> str:
        """Return an ETag with the code of the object's checksum."""
        first = stored[:1]
        if first not in _SEALED:
            return stored.partition(_MARK)[0].decode()
        try:
            if first == HIDDEN:
                return self._open(stored, 1, key.encode()).decode()
            return self._open(stored, 1, VOUCHED + key.encode()).partition(_MARK)[0].decode()
        except (KeyError, InvalidTag):
            return veiled(stored)

    def check(self, stored: bytes, key: str, aside: Callable[[], bytes]) -> str:
        """Return the ETag as `reveal`; raise ObjectTampered when it vouches for something else than `aside` says.

        What was stored before there was a seal, or is sealed under a list key that is not to be had now, passes;
        one that the bucket does not have was never there.
        """
        if not vouches(stored):
            return self.reveal(stored, key)
        try:
            if stored[:1] == VOUCHED:
                etag, _, kept = self._open(stored, 1, VOUCHED + key.encode()).partition(_MARK)
            else:
                etag = stored.partition(_MARK)[0]
                kept = self._open(stored, len(etag) + 1, _clear(etag, key))
        except KeyError:
            if not self.has(stored):
                raise ObjectTampered("tags and locks are sealed under a list key that the bucket never had") from None
            return self.reveal(stored, key)
        except InvalidTag:
            raise ObjectTampered("the seal of tags and locks does not open") from None
        if kept != aside():
            raise ObjectTampered("tags, locks or the access control list were changed")
        return etag.decode().partition(_CODE)[0]

    def opens(self, stored: bytes) -> bool:
        """Say whether the list key of a stored ETag is there."""
        start = _start(stored)
        return start == 0 or stored[start : start + ID_SIZE] in self.ciphers

    def compare(self, stored: bytes) -> None:
        """Raise KeyServiceAway when a stored ETag cannot be told now, so that it is another one only by its looks."""
        if stored[:1] in _SEALED and not self.opens(stored):
            raise KeyServiceAway(DECRYPT, "the list key of an ETag that is to be compared")

    def has(self, stored: bytes) -> bool:
        """Say whether the list key of a stored ETag is one of the bucket's, whether it opens now or not."""
        start = _start(stored)
        return start == 0 or stored[start : start + ID_SIZE] in self.ids

    def _open(self, stored: bytes, start: int, about: bytes) -> bytes:
        """Open what is sealed from start on; raise KeyError when its key is not there, InvalidTag."""
        nonce = start + ID_SIZE
        cipher = self.ciphers[stored[start:nonce]]
        return cipher.decrypt(stored[nonce : nonce + NONCE_SIZE], stored[nonce + NONCE_SIZE :], about)


def _start(stored: bytes) -> int:
    return 1 if stored[:1] in _SEALED else stored.find(_MARK) + 1


def _names(record: BucketRecord) -> frozenset[str]:
    """Return the names of the documents that hold a bucket's list keys."""
    return frozenset([name for name in record.config if name.startswith(NAME)])


def _id(name: str) -> bytes:
    return bytes.fromhex(name.removeprefix(NAME))


def _ids(names: Iterable[str]) -> frozenset[bytes]:
    return frozenset(map(_id, names))


def vouches(stored: bytes) -> bool:
    """Say whether a stored ETag vouches for tags, locks and access control list."""
    first = stored[:1]
    return first == VOUCHED or (first != HIDDEN and _MARK in stored)


def _clear(etag: bytes, key: str) -> bytes:
    return b"\x03" + etag + _MARK + key.encode()


EMPTY = ListKeys({})


def checked(keys: ListKeys, version: ObjectVersion) -> ObjectVersion:
    """Return a version whose tags and locks are as they were written; raise ObjectTampered."""
    if vouches(version.etag):
        meta = unpack_meta(version.meta)
        keys.check(version.etag, version.key, lambda: aside(meta, version.tags, version.lock))
    return version


def vouch_anew(keys: ListKeys, old: ObjectVersion, new: ObjectVersion) -> ObjectVersion:
    """Return new, old with other tags, lock or access control list, with an ETag that vouches for them.

    One whose ETag cannot be opened now keeps it as it is: `Sealing.amend` has refused what vouches for something.
    """
    if not keys.known or not keys.opens(old.etag):
        return new
    etag = keys.text(old.etag, old.key)
    hidden = old.etag[:1] in _SEALED
    beside = aside(unpack_meta(new.meta), new.tags, new.lock)
    return replace(new, etag=keys.vouch(etag, old.key, beside, hidden=hidden))


class SealedListKey(msgspec.Struct, frozen=True, array_like=True):
    """The configuration document of a list key: key name and data key ciphertext (docs/formats/object-record.md)."""

    key_name: str
    ciphertext: bytes


async def open_list_keys(record: BucketRecord, keys: DataKeys | None) -> ListKeys:
    """Return those list keys of a bucket that open now, without making or keeping any."""
    ciphers, names = {}, _names(record)
    for name in record.config:
        if name in names and keys is not None:
            with contextlib.suppress(Error):
                ciphers[_id(name)] = await _opened(record, record.config[name], keys)
    return ListKeys(ciphers, _ids(names))


async def _opened(record: BucketRecord, document: bytes, keys: DataKeys) -> AESGCM:
    try:
        sealed = msgspec.msgpack.decode(document, type=SealedListKey)
    except msgspec.DecodeError as error:
        raise Malformed(f"list key of {record.name}: {error}") from error
    return AESGCM(bytes(await keys.unseal(sealed.key_name, sealed.ciphertext, _context(record))))


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
        names = _names(record)
        if not names and not make:
            return EMPTY
        if not make and self._retry.get(record.uuid, 0.0) > self._now():
            return ListKeys(opened[1].ciphers if opened is not None else {}, _ids(names))
        return await self._load(record, names, make)

    async def vouching(self, record: BucketRecord) -> ListKeys:
        """Return a bucket's list keys, making one if there is none; EMPTY when that cannot be now. Never raises."""
        found = await self.get(record, make=False)
        if found.known or self._keys is None or self._retry.get(record.uuid, 0.0) > self._now():
            return found
        try:
            return await self.get(record, make=True)
        except Error:
            self._retry[record.uuid] = self._now() + RETRY_SECONDS
            return found

    async def _load(self, record: BucketRecord, names: frozenset[str], make: bool) -> ListKeys:
        opened = self._open.get(record.uuid)
        ciphers: dict[bytes, AESGCM] = dict(opened[1].ciphers) if opened is not None else {}
        failure: Error | None = None
        for name in sorted(names):
            if _id(name) in ciphers:
                continue
            try:
                ciphers[_id(name)] = await self._unseal(record, record.config[name])
            except (KeyNotFound, WrongCiphertext):  # deleted, or another key under its name: it will hardly come back
                self._retry[record.uuid] = self._now() + RETRY_SECONDS
            except Error as error:
                self._retry[record.uuid] = self._now() + RETRY_SECONDS
                failure = error
        if make and not ciphers:
            if failure is not None:
                raise failure
            return await self._make(record, names)
        found = ListKeys(ciphers, _ids(names))
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
        return await _opened(record, document, self._keys)

    async def _make(self, record: BucketRecord, lost: frozenset[str]) -> ListKeys:
        """Make a list key, unless somebody else just did; lost: those that exist and can never be opened again."""
        if self._keys is None:
            raise NoKeyService
        async with self._making:
            current = await self._store.bucket(record.name)
            names = _names(current)
            if names - lost:
                return await self._load(current, names, True)
            made = await self._keys.generate("", _context(record))
            identity = fingerprint(made.plaintext.reveal())[:ID_SIZE]
            name = NAME + identity.hex()
            document = msgspec.msgpack.encode(SealedListKey(made.key_name, made.ciphertext))
            await self._store.configure(record.name, {name: document})
            found = ListKeys({identity: AESGCM(bytes(made.plaintext))}, _ids(lost | {name}))
            self._open[record.uuid] = (lost | {name}, found)
            return found


def _new_names(record: BucketRecord, known: frozenset[str]) -> bool:
    return any(name.startswith(NAME) and name not in known for name in record.config)


def _context(record: BucketRecord) -> bytes:
    return contexts.canonical({record.name: record.name, "strongroom": "list-key"})
