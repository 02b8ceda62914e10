"""When a key will be deleted: written, put off and read (docs/formats/kes-key-states.md).

A date is never overwritten. Another one gets a place behind it, in one step, so that a crash leaves either of the two
in force and never a key without its deletion.
"""

from collections.abc import Awaitable, Callable

from strongroom.kes.domain.errors import KeyExists, KeyNotFound, WrongState
from strongroom.kes.domain.lifecycle import Deletion, decode_entry, deletion_entry, encode_entry
from strongroom.kes.domain.ports import KeyStore

MOST_DATES = 100  # one behind the other: each costs a read of the key

Read = Callable[[str], Awaitable[bytes | None]]  # the value of an entry, None if there is none


async def deletion_of(read: Read, name: str) -> Deletion | None:
    """Return when a key will be deleted, by the date that was written last; None when it will not."""
    value, place = await read(deletion_entry(name)), 1
    if value is None:
        return None
    while (later := await read(deletion_entry(name, place + 1))) is not None:
        value, place = later, place + 1
    return decode_entry(value, Deletion)


async def write_date(store: KeyStore, name: str, deletion: Deletion) -> None:
    """Put a date in force: the first, or another. The caller holds the key's turn.

    Raises WrongState when somebody else is doing the same, or when it was done too often without a restore between.
    """
    place = 1
    while await is_there(store, deletion_entry(name, place)):
        place += 1
    if place == 1:
        await drop_later_dates(store, name)
    if place > MOST_DATES:
        raise WrongState("the deletion was put off too often: restore the key first")
    try:
        await store.create(deletion_entry(name, place), encode_entry(deletion))
    except KeyExists:
        raise WrongState("the deletion was changed by somebody else") from None


async def drop_later_dates(store: KeyStore, name: str) -> None:
    """Delete the dates behind the first one, which is gone: what a restore leaves, that no longer counts."""
    place = 2
    while await is_there(store, deletion_entry(name, place)):
        place += 1
    for one in range(place - 1, 1, -1):  # the last first, so that the next call finds what a crash leaves
        await delete_if_there(store, deletion_entry(name, one))


async def is_there(store: KeyStore, entry: str) -> bool:
    """Say whether the store has an entry."""
    return await value_of(store, entry) is not None


async def value_of(store: KeyStore, entry: str) -> bytes | None:
    """Return the value of an entry, None if there is none."""
    try:
        return await store.get(entry)
    except KeyNotFound:
        return None


async def delete_if_there(store: KeyStore, entry: str) -> None:
    """Delete an entry; that it is gone already is as well."""
    try:
        await store.delete(entry)
    except KeyNotFound:
        return
