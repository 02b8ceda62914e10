"""Copies the values of one key store into another, as they are (kes.md 10.2).

Doing it again with merge goes on where it stopped: what is there already is left alone.
"""

import asyncio
import fnmatch
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from strongroom.crypto.fingerprint import fingerprint
from strongroom.errors import AlreadyExists, BadSettings, NotFound
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.errors import StoredKeyDamaged
from strongroom.kes.domain.lifecycle import (
    GENERATION,
    STATES,
    Deleted,
    Generation,
    decode_entry,
    deleted_entry,
    deletion_entry,
    disabled_entry,
    version_entry,
)
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.domain.settings import StoreSettings
from strongroom.kes.handlers.dates import delete_if_there, drop_later_dates, is_there, value_of
from strongroom.kes.handlers.generation import replace_generation
from strongroom.kes.stores import Warn, open_store

PAGE = 50_000  # names at a time
SHARED = (STATES, GENERATION)  # entries that belong to all keys of a store


class WasDeleted(AlreadyExists):
    """The key was deleted in the target: there it counts as deleted for ever, unless force brings it back."""


@dataclass(frozen=True, slots=True)
class Migration:
    """What to copy: pattern selects keys as file names are selected; their states and versions go with them.

    force overwrites keys in the target, merge leaves them; without either one that is there ends it. dry_run only
    counts, and calls taken with the names that would end it. merge calls other with each name that holds another key in
    the target: that one's states and versions are left alone as well.
    """

    pattern: str = "*"
    force: bool = False
    merge: bool = False
    dry_run: bool = False
    progress: Callable[[int], None] = field(default=lambda copied: None)
    taken: Callable[[str], None] = field(default=lambda name: None)
    other: Callable[[str], None] = field(default=lambda name: None)


def migrate(source: StoreSettings, target: StoreSettings, wanted: Migration, warn: Warn) -> int:
    """Return how many keys were copied; raise AlreadyExists, and what the stores raise."""

    async def main() -> int:
        opened = await open_store(source, warn)
        try:
            into = await open_store(target, warn)
            try:
                return await _copy(opened, into, wanted)
            finally:
                await into.close()
        finally:
            await opened.close()

    return asyncio.run(main())


async def _copy(source: KeyStore, target: KeyStore, wanted: Migration) -> int:
    copied, after, marks = 0, "", 0
    others: set[str] = set()  # keys of the target that are not the source's, though their names are
    if not wanted.dry_run:
        if wanted.force:
            await _check_two_stores(source, target)
        await _begin_states(source, target)
    while page := await source.names("", after, PAGE):
        after = page[-1]
        for name in page:
            key, is_mark = _key_of(name), name.endswith("-")
            if name in SHARED or (is_mark and key in others) or not fnmatch.fnmatchcase(key, wanted.pattern):
                continue
            if await _copy_one(source, target, name, wanted):
                copied += not is_mark  # a key's states are copied with it, and not counted
                marks += is_mark
                wanted.progress(copied)
            elif wanted.merge and not is_mark and await _is_another(source, target, name):
                others.add(name)
                wanted.other(name)
    if not wanted.dry_run and (marks or (wanted.force and copied and await is_there(target, STATES))):
        # the target's servers may have some of these keys in use
        await replace_generation(target, Generation(), time.time())
    return copied


async def _check_two_stores(source: KeyStore, target: KeyStore) -> None:
    """Raise BadSettings when both are one store, by whatever names: overwriting would delete what is to be copied."""
    probe = f"migration-{secrets.token_hex(8)}-"
    await target.create(probe, b"{}")
    try:
        if await is_there(source, probe):
            raise BadSettings("source and target are the same key store")
    finally:
        await delete_if_there(target, probe)


async def _is_another(source: KeyStore, target: KeyStore, name: str) -> bool:
    try:
        return await source.get(name) != await target.get(name)
    except NotFound:
        return True  # gone meanwhile, or deleted in the target


async def _begin_states(source: KeyStore, target: KeyStore) -> None:
    """Let the target know that keys may have states, whatever the pattern is: without, nobody looks at them there."""
    for name in SHARED:
        try:
            await target.create(name, await source.get(name))
        except (NotFound, AlreadyExists):
            continue  # no states there, or states here already


def _key_of(entry: str) -> str:
    """Return the key that an entry belongs to: states and further versions go with their key."""
    return entry[:-1].rpartition("-")[0] or entry if entry.endswith("-") else entry


async def _copy_one(source: KeyStore, target: KeyStore, name: str, wanted: Migration) -> bool:
    """Say whether the entry was, or would be, copied."""
    try:
        value = await source.get(name)
    except NotFound:
        return False  # deleted meanwhile
    if wanted.dry_run:
        return await _would_copy(target, name, wanted)
    if wanted.force:
        await _forget(target, name)
    elif not name.endswith("-") and await _was_deleted(target, name, value):
        if wanted.merge:
            return False
        raise WasDeleted(name)
    try:
        await target.create(name, value)
    except AlreadyExists:
        if wanted.merge:
            return False
        raise
    return True


async def _would_copy(target: KeyStore, name: str, wanted: Migration) -> bool:
    try:
        await target.get(name)
    except NotFound:
        return True
    if not wanted.force and not wanted.merge:
        wanted.taken(name)
    return wanted.force


async def _was_deleted(target: KeyStore, name: str, value: bytes) -> bool:
    """Say whether the target remembers that this very key was deleted; a server would not see what is copied."""
    tombstone = await value_of(target, deleted_entry(name))
    if tombstone is None:
        return False
    try:
        mark = fingerprint(storedkey.decode(value).key).hex()
        return mark in decode_entry(tombstone, Deleted).fingerprints
    except StoredKeyDamaged:
        return False  # copied as it is, as all values are


async def _forget(target: KeyStore, name: str) -> None:
    """Delete an entry of the target, and with a key all that belongs to it: another key comes, or an older state."""
    if not name.endswith("-"):
        number = 2
        while await is_there(target, version_entry(name, number)):
            await delete_if_there(target, version_entry(name, number))
            number += 1
        for entry in (disabled_entry(name), deletion_entry(name), deleted_entry(name)):
            await delete_if_there(target, entry)
        await drop_later_dates(target, name)
    await delete_if_there(target, name)
