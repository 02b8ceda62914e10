"""Our own routes for key versions and states, `/v1/lifecycle/...` (docs/reference/kes.md; settled in docs/decisions).

Each change writes or removes one entry, then replaces `generation-`, and only then answers.
"""

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs

import msgspec

from strongroom.crypto.keyciphertext import KeyType
from strongroom.errors import Malformed
from strongroom.kes.domain.errors import BadKeyName, BadPattern, KeyExists, KeyNotFound, WrongState
from strongroom.kes.domain.lifecycle import (
    Deletion,
    Disabled,
    Event,
    MasterKey,
    deletion_entry,
    disabled_entry,
    encode_entry,
    iso,
    version_entry,
)
from strongroom.kes.domain.names import valid_name, valid_pattern
from strongroom.kes.domain.records import WIRE_NAMES
from strongroom.kes.handlers.call import JSON, NDJSON, Call, failing
from strongroom.kes.handlers.dates import delete_if_there, write_date
from strongroom.kes.handlers.generation import begin_states
from strongroom.kes.handlers.keys import all_names
from strongroom.kes.handlers.making import delete_now, new_value, sweep
from strongroom.kes.wire import json
from strongroom.messages import Response, Stream

MAX_WAIT = 366 * 86400.0  # seconds: the longest waiting period of a deletion
_AT_ONCE = 16  # keys read at a time for a listing


def in_turn(work: Callable[[Call], Awaitable[Response]]) -> Callable[[Call], Awaitable[Response]]:
    """Let a route work on a key while no other route of this server makes, changes or deletes it."""

    @functools.wraps(work)
    async def alone(call: Call) -> Response:
        async with call.state.keyring.changes.of(call.argument):
            return await work(call)

    return alone


@in_turn
async def rotate(call: Call) -> Response:
    """Add a version: new data keys use it, old ciphertexts name theirs."""
    key = await _fresh(call)
    key.check_usable()
    keyring, number = call.state.keyring, key.current.number + 1
    with failing("failed to create key"):
        value = new_value(call, os.urandom(32), key.current.type)
        await begin_states(keyring.store)
        try:
            await keyring.store.create(version_entry(key.name, number), value)
        except KeyExists:
            raise WrongState("key was rotated by somebody else") from None
        await call.state.watch.changed("rotated", key.name)
    return await _described(call)


@in_turn
async def disable(call: Call) -> Response:
    """Refuse every use of the key until `enable`. Disabling twice changes nothing."""
    key = await _fresh(call)
    with failing("failed to create key"):
        await begin_states(call.state.keyring.store)
        await _mark(call, disabled_entry(key.name), Disabled(call.identity, iso(call.server.now())))
        await call.state.watch.changed("disabled", key.name)
    return await _described(call)


@in_turn
async def enable(call: Call) -> Response:
    """Undo `disable`."""
    key = await _fresh(call)
    with failing("failed to delete key"):
        await delete_if_there(call.state.keyring.store, disabled_entry(key.name))
        await call.state.watch.changed("enabled", key.name)
    return await _described(call)


@in_turn
async def delete(call: Call) -> Response:
    """Refuse the key from now on and delete it after `{"after": seconds}`, unless it is restored before."""
    key = await _fresh(call)
    members = json.go_object(call.body) if call.body else {}
    seconds = members.get("after", 7 * 86400)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= MAX_WAIT:
        raise Malformed("after is not a number of seconds")
    store, now = call.state.keyring.store, call.server.now()
    due = now + seconds + max(0.0, -store.clock_ahead)  # by the later of our clock and the store's
    with failing("failed to delete key"):
        if not seconds:
            await delete_now(call, key.name)
            return Response(200, JSON, msgspec.json.encode({"name": key.name, "state": "deleted"}) + b"\n")
        await begin_states(store)
        await write_date(store, key.name, Deletion(due, call.identity, iso(now)))
        await call.state.watch.changed("pending deletion", key.name)
    return await _described(call)


@in_turn
async def restore(call: Call) -> Response:
    """Take back `delete`."""
    key = await _fresh(call)
    if key.deletion is None:
        raise WrongState("key is not waiting for its deletion")
    with failing("failed to delete key"):
        await delete_if_there(call.state.keyring.store, deletion_entry(key.name))
        await call.state.watch.changed("restored", key.name)
    return await _described(call)


@in_turn
async def recreate(call: Call) -> Response:
    """Create a key under the name of a deleted one. What the old one sealed stays shut, and says so."""
    if not valid_name(call.argument):
        raise BadKeyName(call.argument)
    keyring, store = call.state.keyring, call.state.keyring.store
    with failing("failed to create key"):
        try:
            await store.get(call.argument)
        except KeyNotFound:
            await sweep(keyring, call.argument)  # what a deletion that was cut off may have left
        await begin_states(store)
        await store.create(call.argument, new_value(call, os.urandom(32), KeyType.AES256))
        await call.state.watch.changed("created", call.argument)
    return await _described(call)


@in_turn
async def describe(call: Call) -> Response:
    """Say what state the key is in, and list its versions."""
    return await _described(call)


async def _described(call: Call) -> Response:
    document = _document(call, await _fresh(call))
    return Response(200, JSON, msgspec.json.encode(document) + b"\n")


async def listing(call: Call) -> Response:
    """Describe every key that the pattern selects."""
    if not valid_pattern(call.argument):
        raise BadPattern(call.argument)
    with failing("failed to list keys"):
        names = await all_names(call, call.argument)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> dict[str, object] | None:
            async with gate:
                try:
                    return _document(call, await call.state.keyring.get(name))
                except KeyNotFound:
                    return None  # deleted meanwhile

        found = [document for document in await asyncio.gather(*map(one, names)) if document is not None]
    return Response(200, JSON, msgspec.json.encode({"keys": found}) + b"\n")


async def events(call: Call) -> Response:
    """Stream state changes as NDJSON, from `?after=<generation>` on, of the keys that the caller may use."""
    after = parse_qs(call.request.query).get("after", [""])[-1]
    return Response(200, NDJSON, Stream(_lines(call, after)))


async def _lines(call: Call, after: str) -> AsyncIterator[bytes]:
    yield b""  # so that the head goes out at once
    # Closed here and now: a generator that is left to the collector is closed by a task, which may outlive the loop.
    async with contextlib.aclosing(call.state.watch.events(after)) as changes:
        async for event in changes:
            if not event.name or _may_use(call, event):
                yield event.line()


def _may_use(call: Call, event: Event) -> bool:
    policies = call.state.policies
    return any(policies.allows(call.identity, f"/v1/key/{use}/{event.name}") for use in ("generate", "decrypt"))


async def _fresh(call: Call) -> MasterKey:
    """Return the key as the store has it now; finish a deletion that is due."""
    if not valid_name(call.argument):
        raise BadKeyName(call.argument)
    call.state.keyring.with_states = True
    with failing("failed to read key"):
        key = await call.state.keyring.reread(call.argument)
        ahead = call.state.keyring.store.clock_ahead
        if key.deletion is not None and key.deletion.is_due(call.server.now(), ahead):
            await delete_now(call, key.name)
            raise KeyNotFound(key.name)
    return key


async def _mark(call: Call, entry: str, record: object) -> None:
    try:
        await call.state.keyring.store.create(entry, encode_entry(record))
    except KeyExists:
        return  # it is there already, which is what was asked for


def _document(call: Call, key: MasterKey) -> dict[str, object]:
    entry = call.state.keyring.entries.get(key.name)
    document: dict[str, object] = {
        "name": key.name,
        "state": key.state,
        "version": key.current.number,
        "fingerprint": key.current.fingerprint,
        "algorithm": WIRE_NAMES[key.current.type],
        "created_at": key.versions[0].created_at.text(),
        "created_by": key.versions[0].created_by,
        "generation": call.state.keyring.generation,
        "versions": [
            {"version": one.number, "fingerprint": one.fingerprint, "created_at": one.created_at.text()}
            for one in key.versions
        ],
    }
    if entry is not None and entry.last_used:
        document["last_used"] = iso(entry.last_used)
    if key.deletion is not None:
        document["deleted_at"] = iso(key.deletion.due)
    if key.former:
        document["former_fingerprints"] = list(key.former)
    return document
