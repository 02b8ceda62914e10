"""Runs a rewrap job: version by version, a new seal around the same object key (sse.md 15)."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from strongroom.crypto import context
from strongroom.errors import Conflict, Error, Unavailable
from strongroom.s3.domain import rewrap
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.object_record import ObjectMeta, pack_meta, unpack_meta, unpack_tags
from strongroom.s3.domain.ports import (
    DataKeys,
    DiskFull,
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    ObjectStore,
    QuotaExceeded,
)
from strongroom.s3.domain.records import ObjectVersion
from strongroom.s3.domain.rewrap import Job, Order, Subject
from strongroom.s3.domain.seal_metadata import SealInfo, describe, label
from strongroom.s3.domain.sealing import open_seal, reseal
from strongroom.s3.handlers.call import log
from strongroom.s3.handlers.encrypt_in_place import encrypt_in_place
from strongroom.s3.handlers.list_keys import ListKeyring

AT_ONCE = 16  # versions in one go: their rows join one commit
SAVE_SECONDS = 10.0
_GONE = (Conflict, NoSuchBucket, NoSuchKey, NoSuchVersion)  # and no missing key of the key service
AWAY_SECONDS = 10.0  # before a version is tried again while the store or the key service is away


Note = Callable[[str, str, str, str, str, SealInfo, SealInfo], None]
"""Records that a key was sealed anew: job, user, bucket, key, version id, the seal before and after."""


def unnoted(job: str, who: str, bucket: str, key: str, version: str, old: SealInfo, new: SealInfo) -> None:
    """Record nothing."""


class Rewrap:
    """One job's run. save() stores the job; now() is in seconds since the epoch; note() goes to the audit."""

    def __init__(
        self,
        job: Job,
        store: ObjectStore,
        keys: DataKeys,
        save: Callable[[Job], Awaitable[None]],
        now: Callable[[], float],
        *,
        bucket_keys: bool = True,
        note: Note = unnoted,
    ) -> None:
        self._job = job
        self._store = store
        self._keys = keys
        self._save = save
        self._now = now
        self._bucket_keys = bucket_keys
        self._note = note
        self._saved = now()
        self._listing = ListKeyring(keys, store, now)

    async def run(self) -> None:
        """Go on behind the last key that is done, until all are; raises what the store raises."""
        order, progress = self._job.order, self._job.progress
        waiting: list[ObjectVersion] = []
        async for version in self._store.walk(order.bucket, order.prefix, progress.last):
            if waiting and version.key != waiting[-1].key and len(waiting) >= AT_ONCE:
                await self._do(waiting)
                waiting = []
            if not version.delete_marker:
                waiting.append(version)
        await self._do(waiting)
        progress.complete = True
        progress.updated = self._now()
        await self._save(self._job)

    async def _do(self, versions: list[ObjectVersion]) -> None:
        """Seal some versions anew; they end with the last one of a key."""
        if not versions:
            return
        begun, progress = time.monotonic(), self._job.progress
        for start in range(0, len(versions), AT_ONCE):
            await asyncio.gather(*map(self._one, versions[start : start + AT_ONCE]))
        progress.last = versions[-1].key
        progress.updated = self._now()
        if progress.updated - self._saved >= SAVE_SECONDS:
            self._saved = progress.updated
            await self._save(self._job)
        if rate := self._job.order.per_second:
            await asyncio.sleep(max(0.0, begun + len(versions) / rate - time.monotonic()))

    async def _one(self, version: ObjectVersion) -> None:
        """Do one version and count it; wait as long as the store or the key service is away."""
        progress = self._job.progress
        while True:
            try:
                done = await self._attempts(version)
                progress.objects += done  # not in one statement: others count while this one waits
            except Unavailable as error:
                if not isinstance(error, DiskFull):  # other versions may have room
                    progress.error = _reason(error)
                    await asyncio.sleep(AWAY_SECONDS)
                    continue
                progress.failed += 1
            except (Error, OSError):
                progress.failed += 1
            else:
                progress.error = ""
            return

    async def _attempts(self, version: ObjectVersion) -> bool:
        """Try a version as often as the order says; say whether the job was about it. Raises the last error."""
        order, left = self._job.order, max(self._job.order.attempts, 1)
        while True:
            try:
                return await self._seal_anew(version)
            except (Error, OSError) as error:  # OSError: the disk does not give the bytes
                if isinstance(error, _GONE) and not isinstance(error, QuotaExceeded):
                    return False  # replaced or removed meanwhile: what is there now was sealed after the job began
                log.warning("job %s: %s/%s: %s", self._job.progress.id, order.bucket, version.key, _reason(error))
                left -= 1
                if not left:
                    raise
            await asyncio.sleep(order.delay)

    async def _seal_anew(self, version: ObjectVersion) -> bool:
        """Give one version a new seal; say whether the job is about it. Raises Error."""
        order = self._job.order
        meta = unpack_meta(version.meta)
        if not rewrap.concerns(order, _subject(version, meta), self._now()):
            return False
        want = rewrap.target(order, describe(meta.seal))
        if want is None:
            raise Error("an SSE-KMS object does not become SSE-S3")
        if order.plain:
            await self._encrypt(version, want)
            return True
        seal = await open_seal(meta.seal, order.bucket, version.key, self._keys)
        again = await reseal(seal, want, order.bucket, version.key, self._keys, bucket_keys=self._bucket_keys)

        def change(current: ObjectVersion) -> ObjectVersion:
            now = unpack_meta(current.meta)
            if now.seal != meta.seal:  # the access control list beside it may be another one by now
                raise Conflict("replaced meanwhile")
            packed = pack_meta(replace(now, seal=dict(again.metadata)))
            return dataclasses.replace(current, meta=packed, sealed_by=label(again.info))

        await self._store.amend(order.bucket, version.key, version.version_id, change)
        self._sealed(version, seal.info, again.info)
        return True

    async def _encrypt(self, version: ObjectVersion, want: Encryption) -> None:
        keys = self._listing.get
        sealed = await encrypt_in_place(
            self._store, self._keys, keys, self._job.order.bucket, version, want, bucket_keys=self._bucket_keys
        )
        self._sealed(version, SealInfo(), sealed)

    def _sealed(self, version: ObjectVersion, old: SealInfo, new: SealInfo) -> None:
        progress = self._job.progress
        where = (self._job.order.bucket, version.key, version.version_id)
        self._note(progress.id, progress.user, *where, old, new)


def _reason(error: Exception) -> str:
    """Return what an error says, with the detail that clients are not shown."""
    detail = getattr(error, "detail", "")
    return f"{error}: {detail}" if detail else str(error)


def _subject(version: ObjectVersion, meta: ObjectMeta) -> Subject:
    return Subject(
        version.modified / 1e9, describe(meta.seal), unpack_tags(version.tags), {**meta.headers, **meta.user}
    )


async def check_order(order: Order, store: ObjectStore, keys: DataKeys) -> None:
    """Raise NoSuchBucket, or the key service's error when the wanted key cannot be used."""
    await store.bucket(order.bucket)
    name = order.key_name if order.kind == Kind.KMS else ""
    await keys.generate(name, context.canonical(order.context | {"MinIO batch API": "batchrotate"}))
