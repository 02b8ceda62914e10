"""The key routes (kes.md 1.6). generate, encrypt and decrypt answer without waiting when the key is cached."""

import os
import time
from binascii import b2a_base64
from collections.abc import Awaitable, Callable
from hmac import digest

import msgspec

from strongroom.crypto.fingerprint import fingerprint
from strongroom.crypto.keyciphertext import KeyType
from strongroom.errors import Malformed
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.errors import (
    BadCipher,
    BadImport,
    BadKeyName,
    BadKeySize,
    BadPattern,
    KeyExists,
    KeyNotFound,
    NoHmacKey,
    StoredKeyDamaged,
    StoreFailed,
    StoreUnreachable,
    TooManyCiphertexts,
)
from strongroom.kes.domain.lifecycle import (
    Deleted,
    MasterKey,
    UnknownVersion,
    decode_entry,
    deleted_entry,
    deletion_entry,
    disabled_entry,
    iso,
    version_entry,
)
from strongroom.kes.domain.names import valid_name, valid_pattern
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.domain.records import CIPHERS, WIRE_NAMES, Moment, StoredKey
from strongroom.kes.handlers.call import EMPTY, JSON, Call, failing, listed
from strongroom.kes.handlers.keyring import Keyring, answer_headers, maybe
from strongroom.kes.handlers.watch import Watch, encode
from strongroom.kes.wire import json
from strongroom.messages import Response

PAGE = 50_000  # names read from a store at a time: most stores list everything for every page
MAX_BULK = 1000  # ciphertexts in a bulk request (kes.md 1.7)
_EMPTY_BODY = json.CryptoBody()


# ---- hot
def generate(call: Call) -> Response | Awaitable[Response]:
    """`PUT /v1/key/generate/<name>`: a fresh data key, plain and sealed."""
    return _with_key(call, _body(call, json.GENERATE, optional=True), _generated)


def encrypt(call: Call) -> Response | Awaitable[Response]:
    """`PUT /v1/key/encrypt/<name>`: the client's plaintext, sealed."""
    return _with_key(call, _body(call, json.ENCRYPT), _encrypted)


def decrypt(call: Call) -> Response | Awaitable[Response]:
    """`PUT /v1/key/decrypt/<name>`: the plaintext of a ciphertext."""
    return _with_key(call, _body(call, json.DECRYPT), _decrypted)


def hmac(call: Call) -> Response | Awaitable[Response]:
    """`PUT /v1/key/hmac/<name>`: HMAC-SHA-256 of a message under the key's HMAC key."""
    return _with_key(call, _body(call, json.HMAC), _authenticated)


_Work = Callable[[Call, json.CryptoBody, MasterKey], Response]


def _with_key(call: Call, body: json.CryptoBody, work: _Work) -> Response | Awaitable[Response]:
    state = call.state
    if state.settings.lock.strict:
        state.watch.check_lock_bound()
    key = state.keyring.cached(call.argument)
    if key is None:
        return _fetched(call, body, work)
    try:
        return work(call, body, key)
    except UnknownVersion:
        return _fetched(call, body, work, again=True)


async def _fetched(call: Call, body: json.CryptoBody, work: _Work, *, again: bool = False) -> Response:
    keyring = call.state.keyring
    with failing("failed to read key"):
        if again:
            keyring.with_states = True  # somebody else has just rotated the first key of this store
            key = await keyring.reread(call.argument)
        else:
            key = await keyring.get(call.argument)
    return work(call, body, key)


def _body(call: Call, members: frozenset[str], *, optional: bool = False) -> json.CryptoBody:
    if not valid_name(call.argument):
        raise BadKeyName(call.argument)
    if optional and not call.body and not call.chunked:
        return _EMPTY_BODY
    return json.crypto_body(call.body, members)


def _generated(call: Call, body: json.CryptoBody, key: MasterKey) -> Response:
    if key.disabled is not None or key.deletion is not None:
        key.check_usable()
    plaintext = os.urandom(32)
    sealed = key.seal(plaintext, body.context)
    call.version, call.context = key.versions[-1].number, body.context
    text = b'{"plaintext":"%b","ciphertext":"%b"}\n' % (
        b2a_base64(plaintext, newline=False),
        b2a_base64(sealed, newline=False),
    )
    return Response(200, call.state.keyring.entries[key.name].headers, text)


def _encrypted(call: Call, body: json.CryptoBody, key: MasterKey) -> Response:
    key.check_usable()
    sealed = key.seal(body.plaintext, body.context)
    call.version, call.context = key.versions[-1].number, body.context
    text = b'{"ciphertext":"%b"}\n' % b2a_base64(sealed, newline=False)
    return Response(200, call.state.keyring.entries[key.name].headers, text)


def _decrypted(call: Call, body: json.CryptoBody, key: MasterKey) -> Response:
    if key.disabled is not None or key.deletion is not None:
        key.check_usable()
    call.context = body.context
    plaintext, version = key.open(body.ciphertext, body.context)
    call.version = version.number
    keyring = call.state.keyring
    if version is key.versions[-1]:
        headers = keyring.entries[key.name].headers
    else:
        headers = answer_headers(version, keyring.generation)
    return Response(200, headers, b'{"plaintext":"%b"}\n' % b2a_base64(plaintext, newline=False))


def _authenticated(call: Call, body: json.CryptoBody, key: MasterKey) -> Response:
    key.check_usable()
    secret = key.versions[0].hmac_key  # of version 1 for ever: rotating must not change what clients derived
    if secret is None:
        raise NoHmacKey(key.name)
    call.version = 1
    value = digest(secret, body.message, "sha256")
    return Response(200, JSON, b'{"hmac":"%b"}\n' % b2a_base64(value, newline=False))


async def bulk_decrypt(call: Call) -> Response:
    """`POST /v1/key/bulk/decrypt/<name>`: up to 1000 ciphertexts; the first that does not open ends it (kes.md 1.7)."""
    if not valid_name(call.argument):
        raise BadKeyName(call.argument)
    items = json.bulk_body(call.body)
    if len(items) > MAX_BULK:
        raise TooManyCiphertexts(str(len(items)))
    with failing("failed to read key"):
        key = await call.state.keyring.get(call.argument)
        key.check_usable()
        plaintexts = []
        for item in items:
            try:
                plaintext, version = key.open(item.ciphertext, item.context)
            except UnknownVersion:
                call.state.keyring.with_states = True
                key = await call.state.keyring.reread(call.argument)
                plaintext, version = key.open(item.ciphertext, item.context)
            call.version = version.number
            plaintexts.append(b'{"plaintext":"%b"}' % b2a_base64(plaintext, newline=False))
    return Response(200, JSON, b"[%b]\n" % b",".join(plaintexts))


# ---- creating and deleting
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
    with failing("failed to delete key"):
        await delete_now(call, call.argument)
    return EMPTY


async def delete_now(call: Call, name: str) -> None:
    """Delete a key in a client's name. Raises KeyNotFound."""
    await erase(call.state.keyring, call.state.watch, name, call.identity, call.server.now())


async def erase(keyring: Keyring, watch: Watch, name: str, by: str, at: float) -> None:
    """Write the tombstone, delete versions and markers, tell everybody. Raises KeyNotFound."""
    store = keyring.store
    keyring.with_states = True
    try:
        marks = _fingerprints(await store.get(name))
    except StoreUnreachable:
        raise
    except StoreFailed:
        marks = []  # what cannot be read can be deleted all the same
    number = 2
    while (value := await maybe(store, version_entry(name, number), keyring.warn)) is not None:
        marks += _fingerprints(value)
        number += 1
    await _write_tombstone(keyring, name, marks, by, at)
    await store.delete(name)
    for entry in [version_entry(name, one) for one in range(number - 1, 1, -1)]:
        await store.delete(entry)
    for entry in (disabled_entry(name), deletion_entry(name)):
        await _delete_if_there(store, entry)
    keyring.forget(name)
    await watch.changed("deleted", name)


def _fingerprints(value: bytes) -> list[str]:
    """Return a stored key's fingerprint; a damaged one has none, and can be deleted as well."""
    try:
        return [fingerprint(storedkey.decode(value).key).hex()]
    except StoredKeyDamaged:
        return []


async def _write_tombstone(keyring: Keyring, name: str, marks: list[str], by: str, at: float) -> None:
    """Remember the fingerprints of a key and of all its forerunners of the same name."""
    store, entry = keyring.store, deleted_entry(name)
    old = await maybe(store, entry, keyring.warn)
    former = decode_entry(old, Deleted).fingerprints if old is not None else ()
    if old is not None:
        await _delete_if_there(store, entry)
    fresh = tuple(mark for mark in marks if mark not in former)
    await store.create(entry, encode(Deleted(former + fresh, marks[0] if marks else "", by, iso(at))))


async def _delete_if_there(store: KeyStore, entry: str) -> None:
    try:
        await store.delete(entry)
    except KeyNotFound:
        return  # most keys have no such mark


# ---- looking
async def describe(call: Call) -> Response:
    """`GET /v1/key/describe/<name>`."""
    if not valid_name(call.argument):
        raise BadKeyName(call.argument)
    with failing("failed to read key"):
        key = await call.state.keyring.get(call.argument)
    first = key.versions[0]
    document = {"name": key.name, "algorithm": WIRE_NAMES[first.type], "created_at": first.created_at.text()}
    if first.created_by:
        document["created_by"] = first.created_by
    return Response(200, JSON, msgspec.json.encode(document) + b"\n")


async def names(call: Call) -> Response:
    """`GET /v1/key/list/<pattern>`: every name at once, so that no client needs the original's broken paging."""
    if not valid_pattern(call.argument):
        raise BadPattern(call.argument)
    with failing("failed to list keys"):
        found = await all_names(call, call.argument)
    return listed(call, "name", found) or Response(200, JSON, b'{"names":' + msgspec.json.encode(found) + b"}\n")


async def all_names(call: Call, pattern: str) -> list[str]:
    """Return the names of the keys that pattern selects, sorted; the marks of key states are no keys."""
    store, prefix, found = call.state.keyring.store, pattern.removesuffix("*"), list[str]()
    after = ""
    while True:
        page = await store.names(prefix, after, PAGE)
        found += filter(valid_name, page)
        if len(page) < PAGE:
            return found
        after = page[-1]
