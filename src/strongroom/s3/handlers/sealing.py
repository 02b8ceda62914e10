"""How handlers see encryption: what seals an object on its way in and opens it on its way out.

The keys and formats are s3/domain's; a server without a key service uses Unsealed.
"""

from collections.abc import Mapping
from typing import Protocol

from strongroom.crypto.secret import Buffer
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused


class Sealer(Protocol):
    """Plaintext in, sealed bytes out; memory is reused by the next call."""

    def feed(self, data: Buffer) -> memoryview:
        """Take plaintext, return what is sealed."""

    def finish(self) -> memoryview:
        """Return the rest."""


class Opener(Protocol):
    """Sealed bytes in, plaintext out; memory is reused by the next call."""

    def feed(self, data: Buffer) -> memoryview:
        """Take sealed bytes, return verified plaintext."""

    def finish(self) -> None:
        """Raise Tampered when the end is missing."""


class Seal(Protocol):
    """The keys of one object or upload, opened."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What is stored beside the object."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the client is told (s3.md 4.6)."""

    @property
    def hides_md5(self) -> bool:
        """Whether the ETag is random instead of the content's MD5 (SSE-KMS, SSE-C)."""

    def sealer(self, part: int | None, size: int | None) -> Sealer:
        """Return a sealer for the object (None) or a part; size in plaintext bytes when known."""

    def opener(self, part: int | None, first_package: int, packages: int, *, partial: bool) -> Opener:
        """Return an opener that begins at a package of a stream of so many packages."""

    def seal_small(self, purpose: str, data: bytes) -> bytes:
        """Seal a little beside the object (`checksum`)."""

    def open_small(self, purpose: str, data: bytes) -> bytes:
        """Open what seal_small sealed; raise Tampered."""


class Sealing(Protocol):
    """Decides and makes the encryption of objects."""

    async def begin(
        self, headers: Mapping[str, str], record: BucketRecord, key: str, *, multipart: bool = False
    ) -> Seal | None:
        """Return the seal for a new object: what its headers ask, else the bucket's default; None for plain."""

    async def open(
        self,
        metadata: Mapping[str, str],
        headers: Mapping[str, str],
        record: BucketRecord,
        key: str,
        *,
        prefix: str = "",
    ) -> Seal | None:
        """Open the seal of a stored object with the keys that the request brings (prefix for copy sources).

        None for a plain object. Raises Refused when the request's parameters do not fit the object.
        """

    def shown(self, metadata: Mapping[str, str], headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the headers that describe an object's encryption, without any key."""

    async def hide_etag(self, record: BucketRecord, etag: str) -> bytes:
        """Return an ETag that is a digest of sealed content as a listing keeps it."""

    async def list_key(self, record: BucketRecord) -> object:
        """Return what reveal_etag needs, None when the bucket has none or it cannot be had now."""

    def reveal_etag(self, stored: bytes, list_key: object) -> str:
        """Return the ETag that clients see."""


class Unsealed:
    """No key service: plain objects only."""

    async def begin(
        self, headers: Mapping[str, str], record: BucketRecord, key: str, *, multipart: bool = False
    ) -> Seal | None:
        """Refuse any request for encryption."""
        if any(name.startswith("x-amz-server-side-encryption") for name in headers):
            text = (
                "Server side encryption specified but KMS is not configured "
                "(KMS not configured for a server side encrypted objects)"
            )
            raise Refused("NotImplemented", text)
        return None

    async def open(
        self,
        metadata: Mapping[str, str],
        headers: Mapping[str, str],
        record: BucketRecord,
        key: str,
        *,
        prefix: str = "",
    ) -> Seal | None:
        """Refuse sealed objects."""
        if metadata:
            raise Refused("NotImplemented", "Server side encryption specified but KMS is not configured")
        return None

    def shown(self, metadata: Mapping[str, str], headers: Mapping[str, str]) -> list[tuple[str, str]]:
        """Nothing is sealed."""
        return []

    async def hide_etag(self, record: BucketRecord, etag: str) -> bytes:
        """Keep it as it is."""
        return etag.encode()

    async def list_key(self, record: BucketRecord) -> object:
        """There is none."""
        return None

    def reveal_etag(self, stored: bytes, list_key: object) -> str:
        """Return the text, or of a sealed one the last 32 hex digits, which look like an ETag and are stable."""
        return stored.decode() if stored[:1] != b"\x01" else stored[-16:].hex()


def etag_of(sealing: Sealing, version: ObjectVersion, list_key: object) -> str:
    """Return a version's ETag as clients see it."""
    return sealing.reveal_etag(version.etag, list_key)
