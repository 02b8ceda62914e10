"""An object's seal while it is open: its own keys, what they seal and open, and the record that they vouch for.

Formats: docs/formats/sealed-keys.md.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from strongroom.crypto import dare, hierarchy
from strongroom.crypto.aead import Aead, aead
from strongroom.crypto.dare import StreamOpener, StreamSealer
from strongroom.crypto.mac import hmac_sha256
from strongroom.crypto.secret import Buffer, Secret
from strongroom.crypto.two_layers import OuterLayer, TwoLayerOpener, TwoLayerSealer
from strongroom.errors import Tampered
from strongroom.s3.domain import seal_metadata
from strongroom.s3.domain.encryption import Kind
from strongroom.s3.domain.key_errors import ObjectTampered
from strongroom.s3.domain.seal_metadata import SealInfo


@dataclass(frozen=True, slots=True)
class Record:
    """What is authenticated beside the content. Everything in it must be known when the object is complete.

    parts    (part number, plaintext size) in order; empty for an object written in one piece
    vouched  the stored ETag vouches for tags and locks: a copy without that is not what was written
    """

    bucket: str
    key: str
    size: int
    headers: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[tuple[int, int]] = ()
    vouched: bool = False

    def to_bytes(self) -> bytes:
        """Return the one byte form that a tag covers: MessagePack, maps as sorted lists of pairs."""
        headers, user = sorted(self.headers.items()), sorted(self.user.items())
        form = 2 if self.vouched else 1
        return msgspec.msgpack.encode((form, self.bucket, self.key, self.size, headers, user, list(self.parts)))


class Under(msgspec.Struct, frozen=True):
    """The data key that opened a seal, and what a key service is asked to have it again."""

    data_key: Secret
    name: str
    ciphertext: bytes
    context: bytes


class Keys(msgspec.Struct, frozen=True):
    """An object's own keys, open, and how they are stored.

    metadata     what to store (names of sse.md 3, ours begin with X-Strongroom-Internal-)
    demands_tag  a record tag belongs to the object
    outer        the key of the second layer, None without one
    """

    object_key: Secret
    metadata: dict[str, str]
    demands_tag: bool
    outer: Secret | None = None


class ObjectSeal:
    """An object key that is open, and what is stored about it. Holds a secret: keep it no longer than the request.

    info   what may be said about it without any key
    under  what opened it; None for a new seal, and under a customer's key

    A new seal's keys are made when one is first needed: so all that a small object takes can be made in one go,
    together with other objects' (ObjectStore.put_made).
    """

    __slots__ = ("_keys", "_ready", "info", "under")

    def __init__(self, keys: Keys | Callable[[], Keys], info: SealInfo, under: Under | None = None) -> None:
        self._keys = keys
        self._ready: Aead | None = None  # the cipher of small contents, once it was needed
        self.info = info
        self.under = under

    @property
    def keys(self) -> Keys:
        """The object's own keys."""
        keys = self._keys
        if not isinstance(keys, Keys):
            keys = self._keys = keys()
        return keys

    @property
    def metadata(self) -> dict[str, str]:
        """What to store about the seal."""
        return self.keys.metadata

    @property
    def kind(self) -> Kind:
        """The kind of encryption."""
        assert self.info.kind is not None
        return self.info.kind

    def sealer(self, part: int | None = None, size: int | None = None) -> StreamSealer:
        """Return a sealer for the content, or for a part; size in plaintext bytes, if known."""
        key, outer = self._content_key(part).reveal(), self.keys.outer
        if outer is not None:
            return TwoLayerSealer(key, _of_part(outer, part).reveal(), size=size)
        return StreamSealer(key, size=size)

    def opener(
        self,
        part: int | None = None,
        first_package: int = 0,
        total_packages: int | None = None,
        *,
        partial: bool = False,
        buffer: memoryview | None = None,
    ) -> StreamOpener:
        """Return an opener for the content, or for a part, from a package on; buffer as StreamOpener has it."""
        key, outer = self._content_key(part).reveal(), self.keys.outer
        if outer is not None:
            second = _of_part(outer, part).reveal()
            return TwoLayerOpener(key, second, first_package, total_packages, partial=partial, buffer=buffer)
        return StreamOpener(key, first_package, total_packages, partial=partial, buffer=buffer)

    def seal_small(self, plaintext: Buffer) -> bytes:
        """Return a small content sealed at once."""
        keys = self.keys
        sealed = dare.seal_small(keys.object_key.reveal(), plaintext)
        return sealed if keys.outer is None else bytes(OuterLayer(keys.outer.reveal()).apply(sealed))

    def open_small(self, sealed: bytes, size: int) -> bytes:
        """Return a small content of `size` bytes, opened at once; raise ObjectTampered."""
        keys = self.keys
        if keys.outer is not None:
            sealed = bytes(OuterLayer(keys.outer.reveal()).apply(sealed))
        if self._ready is None:
            self._ready = aead(keys.object_key.reveal())
        try:
            plaintext = dare.open_small(keys.object_key.reveal(), sealed, self._ready)
        except Tampered as error:
            raise ObjectTampered(str(error)) from error
        if len(plaintext) != size:
            raise ObjectTampered("the content has another size")
        return plaintext

    def seal_checksum(self, record: bytes) -> bytes:
        """Return a checksum record sealed; none stays none."""
        return dare.seal_small(hierarchy.checksum_key(self.keys.object_key).reveal(), record)

    def open_checksum(self, sealed: bytes) -> bytes:
        """Return a checksum record; raise ObjectTampered."""
        try:
            return dare.open_small(hierarchy.checksum_key(self.keys.object_key).reveal(), sealed)
        except Tampered as error:
            raise ObjectTampered(f"the checksum: {error}") from error

    def authenticate(self, record: Record) -> None:
        """Put the record's tag into `metadata`."""
        self.metadata[seal_metadata.RECORD] = seal_metadata.encoded(self._tag(record))

    def verify(self, record: Record) -> None:
        """Raise ObjectTampered when the record is not what was authenticated, or should have been and was not.

        Objects of MinIO, and multipart uploads with customer keys that were completed without the key, have no tag.
        """
        stored = self.metadata.get(seal_metadata.RECORD)
        if stored is None and not self.keys.demands_tag:
            return
        if stored is not None and self._is_tag(record, stored):
            return
        # one from before there was a seal of tags and locks, which got it later
        if stored is None or not record.vouched or not self._is_tag(replace(record, vouched=False), stored):
            raise ObjectTampered("address, size, parts or metadata were changed")

    def _is_tag(self, record: Record, stored: str) -> bool:
        return hmac.compare_digest(seal_metadata.encoded(self._tag(record)).encode(), stored.encode("utf-8", "replace"))

    def _tag(self, record: Record) -> bytes:
        return hmac_sha256(hierarchy.record_key(self.keys.object_key).reveal(), record.to_bytes())

    def _content_key(self, part: int | None) -> Secret:
        return _of_part(self.keys.object_key, part)

    def __repr__(self) -> str:
        return f"ObjectSeal({self.info})"


def _of_part(key: Secret, part: int | None) -> Secret:
    return key if part is None else hierarchy.part_key(key, part)
