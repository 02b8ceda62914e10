"""Rules remove what they looked at, and nothing that has come in its place; one broken bucket does not stop them."""

from dataclasses import replace

from strongroom.s3.domain.object_record import pack_tags
from strongroom.s3.domain.ports import NoSuchKey
from strongroom.s3.domain.records import VERSIONING, NewVersion
from strongroom.s3.handlers.bucket_documents import LIFECYCLE
from strongroom.s3.handlers.lifecycle import Lifecycle
from strongroom.s3.storage.files import FilesStore, open_store

DAY = 24 * 3600
EXPIRE = (
    b"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix/></Filter>"
    b"<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>"
    b"</LifecycleConfiguration>"
)
ONE_DAY = EXPIRE.replace(b"<ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>", b"<Days>1</Days>")


async def put(store: FilesStore, bucket: str, key: str) -> None:
    staged = store.stage(bucket, 1)
    staged.write(memoryview(b"x"))
    await store.put(bucket, NewVersion(key, 1, b"e", b"m"), staged)


class Busy:
    """A store on which somebody writes the object again just before a rule deletes what it saw."""

    def __init__(self, store: FilesStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def delete(self, bucket, key, version_id=None, check=None):
        await put(self._store, bucket, key)
        return await self._store.delete(bucket, key, version_id, check)


async def test_an_object_written_over_a_lone_marker_stays(tmp_path):
    store = await open_store(tmp_path / "data")
    try:
        await store.create_bucket("b")
        await store.configure("b", {VERSIONING: b"Suspended", LIFECYCLE.name: EXPIRE})
        await store.delete("b", "k")  # a delete marker of version null
        await Lifecycle(Busy(store), lambda: 4e9).round()
        assert (await store.get("b", "k")).size == 1
    finally:
        await store.close()


async def test_a_broken_document_does_not_keep_other_buckets_waiting(tmp_path):
    store = await open_store(tmp_path / "data")
    try:
        for name, rules in (("a-broken", b"<Lifecyc"), ("b-sound", ONE_DAY)):
            await store.create_bucket(name)
            await store.configure(name, {LIFECYCLE.name: rules})
            await put(store, name, "k")
        assert await Lifecycle(store, lambda: 4e9).round() == 1
        try:
            await store.get("b-sound", "k")
        except NoSuchKey:
            pass
        else:
            raise AssertionError("the rule of the sound bucket was not obeyed")
    finally:
        await store.close()


OLD = EXPIRE.replace(
    b"<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>",
    b"<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>",
)


class Undone(Busy):
    """Somebody takes the newest version away just before a rule removes the one below it."""

    async def delete(self, bucket, key, version_id=None, check=None):
        newest = await self._store.get(bucket, key)
        if newest.version_id != version_id:
            await self._store.delete(bucket, key, newest.version_id)
        return await self._store.delete(bucket, key, version_id, check)


async def test_an_old_version_that_is_the_object_again_stays(tmp_path):
    store = await open_store(tmp_path / "data")
    try:
        await store.create_bucket("b")
        await store.configure("b", {VERSIONING: b"Enabled", LIFECYCLE.name: OLD})
        await put(store, "b", "k")
        first = await store.get("b", "k")
        await put(store, "b", "k")
        assert await Lifecycle(Undone(store), lambda: 4e9).round() == 0
        assert (await store.get("b", "k")).version_id == first.version_id
    finally:
        await store.close()


class Untagged(Busy):
    """Somebody takes the tags off just before a rule for tagged objects deletes what it saw."""

    async def delete(self, bucket, key, version_id=None, check=None):
        await self._store.amend(bucket, key, None, lambda version: replace(version, tags=b""))
        return await self._store.delete(bucket, key, version_id, check)


async def test_an_object_that_lost_its_tag_stays(tmp_path):
    store = await open_store(tmp_path / "data")
    tag = b"<Filter><Tag><Key>temporary</Key><Value>yes</Value></Tag></Filter>"
    try:
        await store.create_bucket("b")
        await store.configure("b", {LIFECYCLE.name: ONE_DAY.replace(b"<Filter><Prefix/></Filter>", tag)})
        await put(store, "b", "k")
        tags = pack_tags({"temporary": "yes"})
        await store.amend("b", "k", None, lambda version: replace(version, tags=tags))
        assert await Lifecycle(Untagged(store), lambda: 4e9).round() == 0
        assert (await store.get("b", "k")).size == 1
    finally:
        await store.close()
