"""Reads a key out of its store, with its versions and its state (docs/formats/kes-key-states.md)."""

import asyncio
from collections.abc import Callable

from strongroom.crypto.fingerprint import fingerprint
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.errors import KeyNotFound, StoreDenied, StoreShut
from strongroom.kes.domain.lifecycle import (
    Deleted,
    Disabled,
    KeyVersion,
    MasterKey,
    decode_entry,
    deleted_entry,
    disabled_entry,
    version_entry,
)
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.handlers.dates import deletion_of

Log = Callable[[str], None]


async def load(store: KeyStore, name: str, *, with_states: bool, warn: Log) -> MasterKey:
    """Read a key with its versions and its state. Raises KeyNotFound, also for a key whose deletion is not finished."""
    if not with_states:
        return MasterKey(name, (usable(1, await store.get(name)),))
    first, second, disabled, deletion, deleted = await asyncio.gather(
        store.get(name),
        maybe(store, version_entry(name, 2), warn),
        maybe(store, disabled_entry(name), warn),
        deletion_of(lambda entry: maybe(store, entry, warn), name),
        maybe(store, deleted_entry(name), warn),
    )
    past = decode_entry(deleted, Deleted) if deleted is not None else Deleted()
    versions = [usable(1, first)]
    if versions[0].fingerprint in past.fingerprints:
        raise KeyNotFound(f"{name}: its deletion was begun")
    while second is not None:
        version = usable(len(versions) + 1, second)
        if version.fingerprint in past.fingerprints:
            break  # left by the deletion of an earlier key of this name
        versions.append(version)
        second = await maybe(store, version_entry(name, len(versions) + 1), warn)
    return MasterKey(
        name,
        tuple(versions),
        decode_entry(disabled, Disabled) if disabled is not None else None,
        deletion,
        past.fingerprints,
        past.first,
    )


async def maybe(store: KeyStore, name: str, warn: Log) -> bytes | None:
    """Return an entry's value, None if there is none.

    A store that denies us the entry but not the key (a Vault policy for this one name) cannot hold our states: then
    there is none, and the operator is told (docs/security/limitations/kes.md).
    """
    try:
        return await store.get(name)
    except KeyNotFound:
        return None
    except StoreShut:
        raise
    except StoreDenied:
        warn(f"the key store denies access to '{name}': key states and versions are not seen there")
        return None


def usable(number: int, value: bytes) -> KeyVersion:
    """Make a stored key ready for use; raise StoredKeyDamaged."""
    stored = storedkey.decode(value)
    mark = fingerprint(stored.key).hex()
    return KeyVersion(number, stored.key, stored.type, stored.hmac_key, mark, stored.created_at, stored.created_by)
