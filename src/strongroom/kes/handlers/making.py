"""Creating and deleting keys (kes.md 1.6; docs/formats/kes-key-states.md)."""

import os
import time

from strongroom.crypto.fingerprint import fingerprint
from strongroom.crypto.keyciphertext import KeyType
from strongroom.errors import Malformed
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.errors import (
    BadCipher,
    BadImport,
    BadKeyName,
    BadKeySize,
    KeyExists,
    KeyNotFound,
    StoredKeyDamaged,
)
from strongroom.kes.domain.lifecycle import (
    Deleted,
    decode_entry,
    deleted_entry,
    deletion_entry,
    disabled_entry,
    encode_entry,
    iso,
    version_entry,
)
from strongroom.kes.domain.names import valid_name
from strongroom.kes.domain.records import CIPHERS, Moment, StoredKey
from strongroom.kes.handlers.call import EMPTY, Call, failing
from strongroom.kes.handlers.dates import delete_if_there, drop_later_dates
from strongroom.kes.handlers.generation import begin_states
from strongroom.kes.handlers.keyring import Keyring
from strongroom.kes.handlers.loading import maybe
from strongroom.kes.handlers.watch import Watch
from strongroom.kes.wire import json
from strongroom.messages import Response


async def create(call: Call) -> Response:
    """`PUT /v1/key/create/<name>`: durable before the answer; never cached (kes.md 7)."""
    if not valid_name(call.argument):
        raise BadKeyName(call.argument)
    await store_new(call, os.urandom(32), KeyType.AES256)
    return EMPTY


async def import_key(call: Call) -> Response:
    """`PUT /v1/key/import/<name>`: a key of the caller's bytes, with a fresh HMAC key."""
    if not valid_name(call.argument):
        raise BadKeyName(call.argument)
    try:
        body = json.import_body(call.body)
    except Malformed as error:
        raise BadImport(str(error)) from error
    kind = CIPHERS.get("AES256" if body.cipher is None else body.cipher)
    if kind is None:
        raise BadCipher(body.cipher)
    if body.key is None or len(body.key) != storedkey.KEY_SIZE:
        raise BadKeySize(body.cipher or "AES256")
    await store_new(call, body.key, kind)
    return EMPTY


async def store_new(call: Call, key: bytes, kind: KeyType) -> None:
    """Store version 1 of a new key; raise KeyExists also when the name belongs to a deleted one."""
    keyring = call.state.keyring
    async with keyring.changes.of(call.argument):
        await _store_new(call, keyring, key, kind)


async def _store_new(call: Call, keyring: Keyring, key: bytes, kind: KeyType) -> None:
    with failing("failed to create key"):
        if await maybe(keyring.store, deleted_entry(call.argument), keyring.warn) is not None:
            raise KeyExists(f"{call.argument} was deleted")
        await keyring.store.create(call.argument, new_value(call, key, kind))


def new_value(call: Call, key: bytes, kind: KeyType) -> bytes:
    """Return the stored form of a fresh key."""
    created_at = Moment(*divmod(time.time_ns(), 10**9))
    return storedkey.encode(StoredKey(key, kind, os.urandom(32), created_at, call.identity))


async def delete(call: Call) -> Response:
    """`DELETE /v1/key/delete/<name>`: all versions, for ever; a tombstone keeps the name from being used again."""
    if not valid_name(call.argument):
        raise BadKeyName(call.argument)
    async with call.state.keyring.changes.of(call.argument):
        with failing("failed to delete key"):
            await delete_now(call, call.argument)
    return EMPTY


async def delete_now(call: Call, name: str) -> None:
    """Delete a key in a client's name; the caller holds its turn. Raises KeyNotFound."""
    await erase(call.state.keyring, call.state.watch, name, call.identity, call.server.now())


async def erase(keyring: Keyring, watch: Watch, name: str, by: str, at: float) -> None:
    """Write the tombstone, delete versions and markers, tell everybody. Raises KeyNotFound.

    The caller holds the key's turn. A deletion that was cut off is finished by the next one, which then finds no key.
    """
    store = keyring.store
    keyring.with_states = True
    try:
        marks = await _marks(keyring, name)
    except KeyNotFound:
        if await maybe(store, deleted_entry(name), keyring.warn) is not None:
            await sweep(keyring, name)
            await watch.changed("deleted", name)
        raise
    number = 2
    while await _is_there(keyring, version_entry(name, number)):
        marks += await _marks(keyring, version_entry(name, number))
        number += 1
    await begin_states(store)
    await _write_tombstone(keyring, name, marks, by, at)
    await store.delete(name)
    await sweep(keyring, name)
    await watch.changed("deleted", name)


async def sweep(keyring: Keyring, name: str) -> None:
    """Delete what belongs to a key that is gone: further versions, the newest first, and markers."""
    number = 2
    while await _is_there(keyring, version_entry(name, number)):
        number += 1
    entries = [version_entry(name, one) for one in range(number - 1, 1, -1)]
    for entry in (*entries, disabled_entry(name), deletion_entry(name)):
        await delete_if_there(keyring.store, entry)
    await drop_later_dates(keyring.store, name)
    keyring.forget(name)


async def _marks(keyring: Keyring, entry: str) -> list[str]:
    """Return the fingerprint of the key in an entry; a damaged one has none, and can be deleted as well.

    Raises KeyNotFound, and what else the store raises: a key that cannot be read just now must not be deleted without
    a trace of what it was.
    """
    try:
        return [fingerprint(storedkey.decode(await keyring.store.get(entry)).key).hex()]
    except StoredKeyDamaged:
        return []


async def _is_there(keyring: Keyring, entry: str) -> bool:
    try:
        return await maybe(keyring.store, entry, keyring.warn) is not None
    except StoredKeyDamaged:
        return True


async def _write_tombstone(keyring: Keyring, name: str, marks: list[str], by: str, at: float) -> None:
    """Remember the fingerprints of a key and of all its forerunners of the same name."""
    store, entry = keyring.store, deleted_entry(name)
    old = await maybe(store, entry, keyring.warn)
    former = decode_entry(old, Deleted).fingerprints if old is not None else ()
    if old is not None:
        await delete_if_there(store, entry)
    fresh = tuple(mark for mark in marks if mark not in former)
    await store.create(entry, encode_entry(Deleted(former + fresh, marks[0] if marks else "", by, iso(at))))
