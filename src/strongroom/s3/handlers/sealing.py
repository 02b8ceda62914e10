"""How handlers see encryption: which seal a new object gets, how a stored one is opened, how ETags are kept.

Keys and formats are s3/domain's. A server without a key service uses Unsealed; the other kind is in keyed.py.
"""

from collections.abc import Mapping
from typing import Protocol

from strongroom.s3.domain.key_errors import NoKeyService
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.domain.seal_metadata import SealInfo, describe
from strongroom.s3.domain.sealing import ObjectSeal

Headers = Mapping[str, str]
Shown = list[tuple[str, str]]
Stored = Mapping[str, str]  # the seal's entries beside an object; empty: a plain one
HIDDEN = b"\x01"  # first byte of an ETag that is sealed under a list key


class ListKeys(Protocol):
    """The keys under which a bucket's ETags are kept, ready to use."""

    def hide(self, etag: str, key: str) -> bytes:
        """Return the ETag of object `key` as the store keeps it."""

    def reveal(self, stored: bytes, key: str) -> str:
        """Return the ETag that clients see."""


class Sealing(Protocol):
    """Decides and makes the encryption of objects. Every method may raise the errors of domain/key_errors."""

    async def begin(
        self, headers: Headers, record: BucketRecord, key: str, *, multipart: bool = False
    ) -> ObjectSeal | None:
        """Return the seal of a new object: what its headers ask, else the bucket's or server's default; None: plain."""

    def fits(self, stored: Stored, headers: Headers, *, source: bool = False) -> None:
        """Raise Refused when the request's parameters are of another kind than the object's.

        source: look at the copy-source headers instead.
        """

    async def open(
        self, stored: Stored, headers: Headers, bucket: str, key: str, *, source: bool = False
    ) -> ObjectSeal | None:
        """Open a stored object's seal with the keys that the request brings; None for a plain object."""

    def describe(self, stored: Stored) -> SealInfo:
        """Return what is known of a stored seal without any key."""

    def shown(self, stored: Stored, headers: Headers) -> Shown:
        """Return the headers that tell how an object is encrypted."""

    async def list_keys(self, record: BucketRecord, *, make: bool = False) -> ListKeys:
        """Return the bucket's list keys; make: there must be one for new ETags. Never raises without make."""

    async def probe(self) -> None:
        """Raise the key service's error when it would not seal an object now."""


def veiled(stored: bytes) -> str:
    """Return what is shown of an ETag that cannot be revealed now: stable, and no MD5 of anything."""
    return stored[-16:].hex()


class NoListKeys:
    """ETags in clear."""

    def hide(self, etag: str, key: str) -> bytes:
        """Return the text itself."""
        return etag.encode()

    def reveal(self, stored: bytes, key: str) -> str:
        """Return the text, or what is shown of a sealed one."""
        return veiled(stored) if stored[:1] == HIDDEN else stored.decode()


NO_LIST_KEYS = NoListKeys()
_SSE = "x-amz-server-side-encryption"


class Unsealed:
    """No key service: plain objects only."""

    async def begin(
        self, headers: Headers, record: BucketRecord, key: str, *, multipart: bool = False
    ) -> ObjectSeal | None:
        """Refuse any request for encryption."""
        if any(name.startswith(_SSE) for name in headers):
            raise NoKeyService
        return None

    def fits(self, stored: Stored, headers: Headers, *, source: bool = False) -> None:
        """Accept plain objects."""
        if stored:
            raise NoKeyService

    async def open(
        self, stored: Stored, headers: Headers, bucket: str, key: str, *, source: bool = False
    ) -> ObjectSeal | None:
        """Open plain objects."""
        if stored:
            raise NoKeyService
        return None

    def describe(self, stored: Stored) -> SealInfo:
        """Return what is known of a stored seal."""
        return describe(stored)

    def shown(self, stored: Stored, headers: Headers) -> Shown:
        """Nothing is sealed."""
        return []

    async def list_keys(self, record: BucketRecord, *, make: bool = False) -> ListKeys:
        """There are none."""
        return NO_LIST_KEYS

    async def probe(self) -> None:
        """Nothing is needed."""
