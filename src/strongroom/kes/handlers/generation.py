"""Replaces `generation-`, which tells every key server of a store that something changed (domain/lifecycle.py)."""

import contextlib

from strongroom.kes.domain.errors import KeyExists, KeyNotFound, StoredKeyDamaged
from strongroom.kes.domain.lifecycle import GENERATION, STATES, Generation, decode_entry, encode_entry
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.handlers.dates import delete_if_there


async def begin_states(store: KeyStore) -> None:
    """Let every server know that keys may have states, before the first one is written: or nobody looks at it."""
    with contextlib.suppress(KeyExists):  # the store had states before
        await store.create(STATES, b"{}")


async def replace_generation(store: KeyStore, known: Generation, now: float) -> Generation:
    """Put a new `generation-` in the place of the old one. Somebody else's newer one serves as well.

    now: seconds since 1970. Clients compare numbers, so one that was lost goes on at the microseconds since then: no
    store has had so many changes.
    """
    try:
        new = decode_entry(await store.get(GENERATION), Generation).next()
    except (KeyNotFound, StoredKeyDamaged):
        new = known.next(int(now * 1e6))
    await delete_if_there(store, GENERATION)
    try:
        await store.create(GENERATION, encode_entry(new))
    except KeyExists:  # written after our marker, so it tells everybody to look at it
        return decode_entry(await store.get(GENERATION), Generation)
    return new
