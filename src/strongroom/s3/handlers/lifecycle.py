"""Runs the lifecycle rules of all buckets: expiry, old versions, lone delete markers, stale uploads (s3.md 8.6)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from strongroom.errors import Error
from strongroom.s3.domain import lifecycle
from strongroom.s3.domain.key_errors import ObjectTampered
from strongroom.s3.domain.lifecycle import DAY, Removal, Rule, State
from strongroom.s3.domain.object_record import unpack_tags
from strongroom.s3.domain.ports import NoSuchKey, NoSuchUpload, NoSuchVersion, ObjectStore
from strongroom.s3.domain.records import BucketRecord, ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.bucket_documents import LIFECYCLE
from strongroom.s3.handlers.call import log
from strongroom.s3.handlers.delete import refuse_locked
from strongroom.s3.handlers.list_keys import EMPTY, ListKeys, checked
from strongroom.s3.wire import lifecycle_xml
from strongroom.s3.wire import object_headers as wire

ROUND_SECONDS = 3600.0  # between two rounds; shorter when a day is
BREATH = 256  # keys after which requests have their turn
LAST = 253_402_300_799  # seconds since the epoch: the end of the year 9999, the last moment that a date can name
_IN_QUOTES = "".join([chr(code) for code in range(32, 127) if chr(code) not in '"%\\'])  # of a rule's ID, as it is


def rules_of(record: BucketRecord) -> Sequence[Rule]:
    """Return a bucket's rules."""
    document = record.config.get(LIFECYCLE.name)
    return lifecycle_xml.stored(document) if document else ()


def state_of(version: ObjectVersion) -> State:
    """Return what rules look at."""
    tags = unpack_tags(version.tags)
    return State(version.key, version.version_id, version.modified, version.size, tags, version.delete_marker)


def expiration_header(record: BucketRecord, version: ObjectVersion, day: int = DAY) -> list[tuple[str, str]]:
    """Return x-amz-expiration for an object that a rule will expire; none while the rules cannot be read.

    Each round tells the log of those. A write is done when its headers are made: it must not fail here.
    """
    try:
        rules = rules_of(record)
    except Refused:
        return []
    found = lifecycle.expiry(rules, state_of(version), day) if rules else None
    if found is None:
        return []
    when, name = found
    date, rule = wire.http_date(min(when // 1_000_000_000, LAST)), quote(name, safe=_IN_QUOTES)
    return [("x-amz-expiration", f'expiry-date="{date}", rule-id="{rule}"')]


class Lifecycle:
    """Goes round all buckets. now() is in seconds since the epoch; day_seconds is another than 86400 in tests.

    list_keys vouch for tags and locks of encrypted objects; one whose tags or lock were changed on the disk stays.
    """

    def __init__(
        self,
        store: ObjectStore,
        now: Callable[[], float],
        *,
        day_seconds: float = 86400.0,
        list_keys: Callable[[BucketRecord], Awaitable[ListKeys]] | None = None,
    ) -> None:
        self._store = store
        self._list_keys = list_keys
        self._now = now
        self._day = int(day_seconds * 1_000_000_000)
        self._pause = min(ROUND_SECONDS, max(day_seconds / 4, 0.05))

    async def run(self) -> None:
        """Go round for ever; a failure is logged, and the next round tries again."""
        while True:
            await asyncio.sleep(self._pause)
            try:
                await self.round()
            except Exception:  # whatever it was: rules that silently stop would keep what should have gone
                log.exception("lifecycle: the round ended early")

    async def round(self) -> int:
        """Go once through all buckets; return how many versions, markers and uploads went.

        A bucket that cannot be gone through does not keep the others waiting.
        """
        count = 0
        for record in await self._store.buckets():
            try:
                if rules := rules_of(record):
                    count += await self._versions(record, rules) + await self._uploads(record, rules)
            except Error as error:
                log.error("lifecycle of bucket %s: %s", record.name, error)
        return count

    async def _versions(self, record: BucketRecord, rules: Sequence[Rule]) -> int:
        count = seen = 0
        gathered: list[ObjectVersion] = []
        async for version in self._store.walk(record.name):
            if gathered and gathered[0].key != version.key:
                count += await self._key(record, rules, gathered)
                gathered = []
                seen += 1
                if seen % BREATH == 0:
                    await asyncio.sleep(0)
            gathered.append(version)
        return count + await self._key(record, rules, gathered)

    async def _key(self, record: BucketRecord, rules: Sequence[Rule], versions: list[ObjectVersion]) -> int:
        states = [state_of(version) for version in versions]
        now = int(self._now() * 1_000_000_000)
        count = 0
        for removal in list(lifecycle.removals(rules, states, now, self._day)):
            count += await self._remove(record, removal, now, newest=removal.version is states[0])
        return count

    async def _remove(self, record: BucketRecord, removal: Removal, now: int, *, newest: bool) -> int:
        """Do what is due, unless the object has changed meanwhile or a lock protects it.

        newest: it was its key's newest version. An old one whose successor has gone is the object now, and stays.
        """
        wanted = removal.version
        keys = await self._list_keys(record) if self._list_keys is not None else EMPTY
        by_version = removal.verb == "remove" or not record.versioning

        def check(current: ObjectVersion | None) -> None:
            if current is None or current.latest != newest or state_of(current) != wanted:
                raise NoSuchVersion("it changed while the rules were read")
            checked(keys, current)
            if by_version and current.lock:
                refuse_locked(current, now, bypass=False)

        try:
            version_id = wanted.version_id if removal.verb == "remove" else None
            await self._store.delete(record.name, wanted.key, version_id, check)
        except ObjectTampered as error:
            log.error("lifecycle: %s/%s stays: %s", record.name, wanted.key, error.detail)
            return 0
        except (NoSuchKey, NoSuchVersion, Refused):
            return 0
        log.info(
            "lifecycle rule %s: %s %s/%s %s", removal.rule, removal.verb, record.name, wanted.key, version_id or ""
        )
        return 1

    async def _uploads(self, record: BucketRecord, rules: Sequence[Rule]) -> int:
        if not any(rule.abort_days for rule in rules):
            return 0
        count, key, upload_id = 0, "", ""
        now = int(self._now() * 1_000_000_000)
        while True:
            page = await self._store.uploads(record.name, "", key, upload_id, "", 1000)
            for upload in page.uploads:
                if lifecycle.abort_due(rules, upload.key, upload.started, now, self._day):
                    try:
                        await self._store.abort_upload(record.name, upload)
                    except NoSuchUpload:
                        continue
                    count += 1
            if not page.truncated:
                return count
            key, upload_id = page.next_key, page.next_upload
