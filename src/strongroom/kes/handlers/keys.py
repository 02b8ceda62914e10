"""The key routes (kes.md 1.6). generate, encrypt and decrypt answer without waiting when the key is cached."""

import os
from binascii import b2a_base64
from collections.abc import Awaitable, Callable
from hmac import digest

import msgspec

from strongroom.kes.domain.errors import (
    BadKeyName,
    BadPattern,
    NoHmacKey,
    TooManyCiphertexts,
)
from strongroom.kes.domain.lifecycle import (
    MasterKey,
    UnknownVersion,
)
from strongroom.kes.domain.names import valid_name, valid_pattern
from strongroom.kes.domain.records import WIRE_NAMES
from strongroom.kes.handlers.call import JSON, Call, failing, listed
from strongroom.kes.handlers.keyring import answer_headers
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
    try:
        return work(call, body, key)
    except UnknownVersion:
        if again:
            raise
        return await _fetched(call, body, work, again=True)


def _body(call: Call, members: frozenset[str], *, optional: bool = False) -> json.CryptoBody:
    if call.argument not in call.state.keyring.entries and not valid_name(call.argument):
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
