"""Replaces `generation-`, which tells every key server of a store that something changed (domain/lifecycle.py)."""

import contextlib

import msgspec

from strongroom.kes.domain.errors import KeyExists, KeyNotFound
from strongroom.kes.domain.lifecycle import GENERATION, STATES, Generation, decode_entry
from strongroom.kes.domain.ports import KeyStore


async def replace_generation(store: KeyStore, known: Generation) -> Generation:
    """Put a new `generation-` in the place of the old one. Somebody else's newer one serves as well."""
    with contextlib.suppress(KeyExists):  # the store had states before
        await store.create(STATES, b"{}")
    try:
        old = decode_entry(await store.get(GENERATION), Generation)
        await store.delete(GENERATION)
    except KeyNotFound:
        old = known
    new = old.next()
    try:
        await store.create(GENERATION, encode(new))
    except KeyExists:  # written after our marker, so it tells everybody to look at it
        return decode_entry(await store.get(GENERATION), Generation)
    return new


def encode(record: object) -> bytes:
    """Return a state entry's value."""
    return msgspec.json.encode(record)
