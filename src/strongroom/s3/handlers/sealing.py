"""How handlers see encryption: which seal a new object gets, how a stored one is opened, which headers tell of it."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from strongroom.crypto import context as contexts
from strongroom.s3.domain import encryption
from strongroom.s3.domain.encryption import BucketEncryption, Encryption, Kind
from strongroom.s3.domain.key_errors import KeyNotFound, NoKeyService
from strongroom.s3.domain.object_record import unpack_meta
from strongroom.s3.domain.object_seal import ObjectSeal
from strongroom.s3.domain.ports import DataKeys, ObjectStore
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import SealInfo, describe
from strongroom.s3.domain.sealing import new_seal, open_seal
from strongroom.s3.handlers.list_keys import ListKeyring, ListKeys, checked, vouch_anew, vouches
from strongroom.s3.handlers.opened import OpenedSeals
from strongroom.s3.handlers.revealed import RevealedRows
from strongroom.s3.wire import bucket_encryption, sse_headers
from strongroom.s3.wire.sse_headers import CustomerKey, Operation

Headers = Mapping[str, str]
Shown = list[tuple[str, str]]
Change = Callable[[ObjectVersion], ObjectVersion]
Stored = Mapping[str, str]  # the seal's entries beside an object; empty: a plain one
CONFIGURATION = "encryption"  # the bucket's document


@lru_cache(maxsize=1024)
def bucket_default(document: bytes) -> BucketEncryption:
    """Return a bucket's encryption configuration as stored."""
    return bucket_encryption.parse(document)


class _NotOpen(Exception):
    """A version vouches for something under a list key that was not asked for."""


def _amended(keys: ListKeys, change: Change, current: ObjectVersion) -> ObjectVersion:
    """Change a version as it is at the commit; raise _NotOpen, ObjectTampered, and what change raises."""
    if vouches(current.etag) and not keys.opens(current.etag):
        raise _NotOpen
    new = change(checked(keys, current))
    return vouch_anew(keys, current, new) if new.meta and unpack_meta(new.meta).seal else new


class Sealing:
    """Decides and makes the encryption of objects. Every method may raise the errors of domain/key_errors.

    keys         None without a key service: plain and SSE-C objects only
    automatic    what objects get when neither client nor bucket says anything
    bucket_keys  objects of a bucket may share a data key for some minutes
    """

    def __init__(
        self,
        keys: DataKeys | None,
        store: ObjectStore,
        now: Callable[[], float],
        *,
        automatic: Encryption | None = None,
        bucket_keys: bool = True,
    ) -> None:
        self.keys = keys
        self.automatic = automatic
        self._bucket_keys = bucket_keys
        self._store = store
        self.opened = OpenedSeals(keys)
        self.rows = RevealedRows()
        self._keyring = ListKeyring(keys, store, now)

    def wanted(self, headers: Headers, record: BucketRecord, key: str, operation: Operation) -> Encryption | None:
        """Return the encryption of a new object: what its headers ask, else the bucket's, else the server's."""
        asked = sse_headers.parse_write(headers, operation, record.name, key)
        document = record.config.get(CONFIGURATION)
        default = bucket_default(document) if document else None
        if asked is not None:
            if default is not None and default.blocks(asked.kind, key):
                raise Refused("AccessDenied", "The encryption configuration of this bucket blocks SSE-C.")
            return asked
        return encryption.choose(None, default, key, self.automatic)

    async def begin(
        self, headers: Headers, record: BucketRecord, key: str, operation: Operation = Operation.PUT
    ) -> ObjectSeal | None:
        """Return the seal of a new object or upload; None when it stays plain."""
        want = self.wanted(headers, record, key, operation)
        if want is None:
            return None
        multipart = operation is Operation.CREATE
        return await new_seal(want, record.name, key, self.keys, multipart=multipart, bucket_keys=self._bucket_keys)

    def fits(self, info: SealInfo, headers: Headers, *, source: bool = False) -> None:
        """Raise Refused when the request's parameters are of another kind than the object's.

        source: look at the copy-source headers instead.
        """
        if source:
            brought = sse_headers.parse_source_key(headers)
            if not self._left_out(info, brought, headers):
                sse_headers.check_source(info, brought)
        else:
            sse_headers.check_read(info, sse_headers.parse_customer_key(headers))

    def _left_out(self, info: SealInfo, brought: CustomerKey | None, headers: Headers) -> bool:
        """Say whether a copy from SSE-C to SSE-C lacks the source's headers: `open` tells what that means."""
        return info.kind is Kind.C and brought is None and sse_headers.asks_customer(headers)

    async def open(
        self, stored: Stored, headers: Headers, bucket: str, key: str, *, source: bool = False
    ) -> ObjectSeal | None:
        """Open a stored object's seal with the keys that the request brings; None for a plain object."""
        if not stored:
            return None
        brought = sse_headers.parse_source_key(headers) if source else sse_headers.parse_customer_key(headers)
        if source and self._left_out(describe(stored), brought, headers):
            guess = sse_headers.parse_customer_key(headers)
            await open_seal(stored, bucket, key, self.keys, guess.key if guess is not None else None)
            raise sse_headers.source_algorithm_missing()  # the destination's key would fit (sse.md 6.5)
        return await open_seal(stored, bucket, key, self.keys, brought.key if brought is not None else None)

    def describe(self, stored: Stored) -> SealInfo:
        """Return what is known of a stored seal without any key."""
        return describe(stored)

    def shown(self, info: SealInfo, headers: Headers) -> Shown:
        """Return the headers that tell how an object is encrypted."""
        md5 = headers.get(sse_headers.CUSTOMER_HEADERS[2], "") if info.kind is Kind.C else ""
        return sse_headers.response_headers(info, md5)

    async def list_keys(self, record: BucketRecord, *, make: bool = False) -> ListKeys:
        """Return the bucket's list keys; make: there must be one for new ETags. Never raises without make."""
        return await self._keyring.get(record, make=make)

    async def vouching(self, record: BucketRecord, kind: Kind) -> ListKeys:
        """Return the list keys that vouch for a new object's tags and locks, and hide its ETag when it is a digest.

        SSE-S3 needs one and raises; SSE-KMS does without while none can be had, and SSE-C, which needs no key service,
        while the bucket has none.
        """
        if kind is Kind.S3:
            return await self._keyring.get(record, make=True)
        return await (self._keyring.get(record, make=False) if kind is Kind.C else self._keyring.vouching(record))

    async def amend(self, record: BucketRecord, version: ObjectVersion, change: Change) -> ObjectVersion:
        """Change tags, lock or access control list of a version, and vouch for them anew.

        Raises what `change` and ObjectStore.amend raise, ObjectTampered when they are not as they were written, and
        the key service's error when that cannot be told.
        """
        while True:
            keys = await self._beside(record, version)
            try:
                return await self._store.amend(
                    record.name, version.key, version.version_id, partial(_amended, keys, change)
                )
            except _NotOpen:  # it was encrypted, or vouched for under a new list key, just now
                version = await self._store.get(record.name, version.key, version.version_id)

    async def _beside(self, record: BucketRecord, version: ObjectVersion) -> ListKeys:
        """Return the list keys that tell whether a version is as it was written, and vouch for it anew."""
        kind = describe(unpack_meta(version.meta).seal).kind if version.meta else None
        keys = await self.vouching(record, kind or Kind.C)
        if vouches(version.etag) and not keys.opens(version.etag):
            keys = await self._keyring.get(record, make=True)
            if not keys.opens(version.etag):
                raise KeyNotFound("the list key that vouches for tags and locks")
        return keys

    async def try_key(self, key_name: str) -> None:
        """Raise the key service's error unless a data key can be made with this key."""
        if self.keys is None:
            raise NoKeyService(bucket_configuration=True)
        await self.keys.generate(key_name, contexts.canonical({"MinIO admin API": "ServerInfoHandler"}))

    async def probe(self) -> None:
        """Raise the key service's error when it would not seal an object now; nothing without a key service."""
        if self.keys is not None:
            await self.keys.generate("", contexts.canonical({"healthcheck": ""}))
