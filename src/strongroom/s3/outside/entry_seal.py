"""Seals the server's own entries (users, policies, settings) under the default key, each bound to its name."""

import logging

from strongroom.crypto import madmin
from strongroom.crypto.secret import Secret
from strongroom.errors import Tampered
from strongroom.s3.domain import backend_entry
from strongroom.s3.domain.ports import DataKeys

log = logging.getLogger("strongroom.s3")


class SealedEntries:
    """One fresh data key for each entry, in MinIO's own form (sse.md 11).

    Entries that were stored before there was a key service lie in clear and are read as they are: whoever may write
    the data folder could always have put them there (docs/security/limitations/s3-encryption.md).
    """

    def __init__(self, keys: DataKeys) -> None:
        self._keys = keys

    async def seal(self, name: str, plaintext: bytes) -> bytes:
        """Return the sealed form. Raises the errors of domain/key_errors."""
        made = await self._keys.generate("", backend_entry.contexts(name)[0])
        return backend_entry.seal(made, plaintext)

    async def open(self, name: str, sealed: bytes) -> bytes:
        """Return the plaintext; raise Tampered for another name or changed bytes, Malformed for no known form."""
        if not backend_entry.is_sealed(sealed):
            log.warning("entry %s lies in clear; saving it seals it", name)
            return sealed
        entry = backend_entry.parse(sealed)
        key = await self._unseal(name, entry)
        return madmin.open_chunks(key.reveal(), entry.nonce, entry.chunks, entry.cipher)

    async def _unseal(self, name: str, entry: backend_entry.Entry) -> Secret:
        current, older = backend_entry.contexts(name)
        try:
            return await self._keys.unseal(entry.key_name, entry.data_key, current)
        except Tampered:
            return await self._keys.unseal(entry.key_name, entry.data_key, older)
