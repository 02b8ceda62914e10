"""Rewrap jobs over a store in memory: which objects, what stays, and going on where one stopped."""

import asyncio
import dataclasses
import itertools
import time
from types import SimpleNamespace

import pytest
from msgspec import structs

from strongroom.crypto.secret import Secret
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.key_errors import KeyForbidden, KeyNotFound, KeyServiceAway
from strongroom.s3.domain.object_record import ObjectMeta, pack_meta, pack_tags, unpack_meta
from strongroom.s3.domain.object_seal import Record
from strongroom.s3.domain.ports import NoSuchBucket
from strongroom.s3.domain.records import QUOTA, NewVersion, PartRecord
from strongroom.s3.domain.rewrap import Filter, Order
from strongroom.s3.domain.sealing import new_seal, open_seal
from strongroom.s3.handlers import jobs, rewrap
from strongroom.s3.handlers.iam_store import ClearEntries
from strongroom.s3.handlers.jobs import Jobs, NoSuchJob
from strongroom.s3.outside.static_key import StaticKey
from strongroom.s3.storage.memory import MemoryStore
from strongroom.s3.wire import batch


class Keys:
    """Several static keys; `away` makes them unavailable."""

    def __init__(self):
        self.keys = {name: StaticKey(name, bytes([n]) * 32) for n, name in enumerate(("default", "old", "new"))}
        self.away = False
        self.generated = 0

    def _key(self, name):
        if self.away:
            raise KeyServiceAway("kms:KeyGenerationFailed")
        if (name or "default") not in self.keys:
            raise KeyNotFound(name)
        return self.keys[name or "default"]

    async def generate(self, name, context, *, shared=False):
        self.generated += 1
        return await self._key(name).generate("", context)

    async def unseal(self, name, ciphertext, context):
        return await self._key(name).unseal(name, ciphertext, context)

    def kept(self, name, ciphertext, context):
        return None

    def kept_shared(self, name, context):
        return None


CUSTOMER = Secret(bytes(32))
OBJECTS = {
    "p/s3": Encryption(Kind.S3),
    "p/kms": Encryption(Kind.KMS, "old"),
    "p/kmsctx": Encryption(Kind.KMS, "old", {"a": "b"}),
    "p/c": Encryption(Kind.C, customer_key=CUSTOMER),
    "p/plain": None,
    "q/kms": Encryption(Kind.KMS, "old"),
}


@pytest.fixture
async def world():
    store, keys = MemoryStore(), Keys()
    await store.create_bucket("b")
    await store.configure("b", {"versioning": b"Enabled"})
    for key, want in OBJECTS.items():
        await put(store, keys, key, want, tags={"name": key.partition("/")[2]})
    notices = []

    async def notify(url, token, document):
        notices.append((url, token, document))

    def make():
        return Jobs(store, store, keys, ClearEntries(), time.time, notify)

    return SimpleNamespace(store=store, keys=keys, make=make, jobs=make(), notices=notices)


async def put(store, keys, key, want, tags=None):
    meta, body = ObjectMeta(headers={"content-type": "text/plain"}), b"hello"
    if want is not None:
        seal = await new_seal(want, "b", key, keys, bucket_keys=False)
        seal.authenticate(Record("b", key, 5, meta.headers, meta.user))
        body = seal.seal_small(b"hello")
        meta = ObjectMeta(headers=meta.headers, seal=dict(seal.metadata))
    staged = store.stage("b", len(body))
    staged.write(body)
    await store.put("b", NewVersion(key, 5, b"etag", pack_meta(meta), pack_tags(tags or {})), staged)


async def seals(store):
    return {version.key: unpack_meta(version.meta).seal async for version in store.walk("b") if version.latest}


async def check(world, key, customer=None):
    """Open an object as a reader would."""
    version = await world.store.get("b", key)
    meta = unpack_meta(version.meta)
    seal = await open_seal(meta.seal, "b", key, world.keys, customer)
    seal.verify(Record("b", key, 5, meta.headers, meta.user))
    body = world.store.open("b", version)
    buffer = bytearray(body.stored)
    body.read_into(0, memoryview(buffer))
    assert seal.open_small(bytes(buffer), 5) == b"hello"
    return seal.info, version


async def finish(job, seconds=5.0):
    end = time.monotonic() + seconds
    while not job.progress.complete:
        assert time.monotonic() < end, job.progress
        await asyncio.sleep(0.01)


async def test_objects_of_a_prefix_go_to_another_key(world):
    """Sse.md 18 row 14: SSE-S3 becomes SSE-KMS, no byte of content moves, times stay."""
    before = {key: (await world.store.get("b", key)) for key in OBJECTS}
    job = await world.jobs.start(Order("b", "aws:kms", "p/", "new", notify="https://x", token="t"), "minio")
    await finish(job)
    assert (job.progress.objects, job.progress.failed) == (3, 0)
    for key in ("p/s3", "p/kms", "p/kmsctx"):
        info, version = await check(world, key)
        assert (info.kind, info.key_name) == (Kind.KMS, "new")
        assert (version.version_id, version.modified, version.etag) == (
            before[key].version_id,
            before[key].modified,
            before[key].etag,
        )
    assert (await check(world, "p/kmsctx"))[0].context == {"a": "b"}
    assert (await check(world, "q/kms"))[0].key_name == "old"
    await check(world, "p/c", CUSTOMER)
    await asyncio.sleep(0)
    assert [notice[:2] for notice in world.notices] == [("https://x", "t")]


async def test_a_job_may_give_objects_another_context(world):
    """Sse.md 18 row 14: the original validates a job's context, and passes it over."""
    await finish(await world.jobs.start(Order("b", "aws:kms", "p/kms", "new", {"c": "d"}), "minio"))
    for key in ("p/kms", "p/kmsctx"):
        info, _ = await check(world, key)
        assert (info.key_name, info.context) == ("new", {"c": "d"})


async def test_sse_kms_objects_do_not_become_sse_s3(world):
    job = await world.jobs.start(Order("b", "AES256", "p/", attempts=1), "minio")
    await finish(job)
    assert (job.progress.objects, job.progress.failed) == (1, 2)
    assert (await check(world, "p/s3"))[0].kind is Kind.S3
    assert (await check(world, "p/kms"))[0].key_name == "old"


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (Filter(), {"p/s3", "p/kms", "p/kmsctx"}),
        (Filter(newer_than=3600.0), {"p/s3", "p/kms", "p/kmsctx"}),
        (Filter(older_than=3600.0), set()),
        (Filter(after=1.0), {"p/s3", "p/kms", "p/kmsctx"}),
        (Filter(before=1.0), set()),
        (Filter(tags=(("name", "kms*"),)), {"p/kms", "p/kmsctx"}),
        (Filter(tags=(("name", "kms"), ("name", "s3"))), {"p/kms", "p/s3"}),
        (Filter(tags=(("name", "kms*"),), older_than=3600.0), set()),
        (Filter(metadata=(("Content-Type", "text/*"),)), {"p/s3", "p/kms", "p/kmsctx"}),
        (Filter(metadata=(("content-type", "image/*"),)), set()),
        (Filter(key="old"), {"p/kms", "p/kmsctx"}),
        (Filter(key="nothing"), set()),
    ],
)
async def test_filters(world, wanted, keys):
    """Sse.md 18 row 14: the dates selected the opposite, tags nothing, keys everything."""
    before = await seals(world.store)
    await finish(await world.jobs.start(Order("b", "aws:kms", "p/", "new", filter=wanted), "minio"))
    after = await seals(world.store)
    assert {key for key in after if after[key] != before[key]} == keys


async def test_all_versions_are_sealed_anew_and_markers_left_alone(world):
    await put(world.store, world.keys, "p/kms", Encryption(Kind.KMS, "old"))
    await world.store.delete("b", "p/kms")
    await finish(await world.jobs.start(Order("b", "aws:kms", "p/kms", "new", filter=Filter(key="old")), "minio"))
    names = [unpack_meta(v.meta).seal async for v in world.store.walk("b", "p/kms") if not v.delete_marker]
    assert {seal["X-Minio-Internal-Server-Side-Encryption-S3-Kms-Key-Id"] for seal in names} == {"new"}
    assert len(names) == 3


async def test_an_order_that_cannot_be_carried_out_is_refused(world):
    with pytest.raises(NoSuchBucket):
        await world.jobs.start(Order("nosuch", "AES256"), "minio")
    with pytest.raises(KeyNotFound):
        await world.jobs.start(Order("b", "aws:kms", key_name="nosuch"), "minio")
    with pytest.raises(NoSuchJob):
        world.jobs.find("x")
    await world.jobs.cancel("x")
    assert world.jobs.all() == []


async def test_a_job_goes_on_after_a_restart(world):
    for number in range(100):
        await put(world.store, world.keys, f"r/{number:03}", Encryption(Kind.KMS, "old"))
    job = await world.jobs.start(Order("b", "aws:kms", "r/", "new"), "minio")
    while not job.progress.last:
        await asyncio.sleep(0)
    await world.jobs.close()
    assert not job.progress.complete
    again = world.make()
    await again.resume()
    resumed = again.find(job.progress.id)
    await finish(resumed)
    assert resumed.progress.last == "r/099"
    assert resumed.progress.objects >= 84
    assert (await check(world, "r/000"))[0].key_name == "new"
    assert (await check(world, "r/099"))[0].key_name == "new"
    third = world.make()
    await third.resume()
    assert third.find(job.progress.id).progress.complete


async def test_a_job_that_is_cancelled_stays_where_it_is(world):
    for number in range(100):
        await put(world.store, world.keys, f"r/{number:03}", Encryption(Kind.KMS, "old"))
    job = await world.jobs.start(Order("b", "aws:kms", "r/", "new"), "minio")
    while not job.progress.last:
        await asyncio.sleep(0)
    await world.jobs.cancel(job.progress.id)
    assert job.progress.cancelled
    again = world.make()
    await again.resume()
    await asyncio.sleep(0.05)
    assert not again.find(job.progress.id).progress.complete
    assert (await check(world, "r/099"))[0].key_name == "old"


async def test_an_object_that_fails_is_counted_after_its_attempts(world):
    job = await world.jobs.start(Order("b", "aws:kms", "p/", "new", attempts=2, delay=0.0), "minio")
    asked, generate = [], world.keys.generate

    async def forbidden(name, context, **named):
        asked.append(name)
        raise KeyForbidden

    world.keys.generate = forbidden
    await finish(job)
    assert (job.progress.failed, len(asked)) == (3, 6)
    world.keys.generate = generate
    assert (await check(world, "p/kms"))[0].key_name == "old"


@pytest.mark.parametrize("lost", ["old", "new"])
async def test_a_key_that_is_not_there_any_more_is_a_failure_not_an_object_that_went(world, lost):
    job = await world.jobs.start(Order("b", "aws:kms", "p/", "new", attempts=1), "minio")
    del world.keys.keys[lost]
    await finish(job)
    assert job.progress.objects + job.progress.failed == 3
    assert job.progress.failed == {"old": 2, "new": 3}[lost]


async def test_a_job_waits_while_the_key_service_is_away(world, monkeypatch):
    monkeypatch.setattr(rewrap, "AWAY_SECONDS", 0.01)
    job = await world.jobs.start(Order("b", "aws:kms", "p/", "new", attempts=1), "minio")
    world.keys.away = True
    await asyncio.sleep(0.05)
    assert (job.progress.complete, job.progress.failed) == (False, 0)
    assert batch.status(job)["LastMetric"]["error"] == job.progress.error != ""
    world.keys.away = False
    await finish(job)
    assert (job.progress.objects, job.progress.failed, job.progress.error) == (3, 0, "")


async def test_an_access_control_list_that_is_set_meanwhile_does_not_keep_an_object_under_its_key(world):
    generate, number = world.keys.generate, itertools.count()

    async def beside(name, context, **named):
        def grant(version):
            meta = unpack_meta(version.meta)
            return dataclasses.replace(version, meta=pack_meta(structs.replace(meta, acl=b"%d" % next(number))))

        await world.store.amend("b", "p/kms", None, grant)
        return await generate(name, context, **named)

    world.keys.generate = beside
    await finish(await world.jobs.start(Order("b", "aws:kms", "p/kms", "new"), "minio"))
    world.keys.generate = generate
    info, version = await check(world, "p/kms")
    assert (info.key_name, bool(unpack_meta(version.meta).acl)) == ("new", True)


async def test_a_plain_object_that_does_not_fit_its_quota_twice_is_not_passed_over(world):
    await put_parts(world, "plain/parts", bytes(1024))
    await world.store.configure("b", {QUOTA: str((await world.store.usage("b")).size + 10).encode()})
    job = await world.jobs.start(Order("b", "AES256", "plain/", plain=True, attempts=1), "minio")
    await finish(job)
    assert (job.progress.objects, job.progress.failed) == (0, 1)


async def put_parts(world, key, body):
    upload = await world.store.create_upload("b", key, pack_meta(ObjectMeta()))
    staged = world.store.stage("b", len(body))
    staged.write(body)
    part = await world.store.put_part("b", upload, PartRecord(1, len(body), len(body), b"e"), staged)
    new = NewVersion(key, len(body), b"e-1", pack_meta(ObjectMeta()))
    await world.store.complete_upload("b", upload, [part], new)


@pytest.mark.parametrize("parts", [False, True])
async def test_a_plain_object_with_a_new_access_control_list_is_encrypted_all_the_same(world, parts):
    """Sse.md 18 row 12: plain objects are encrypted in bulk."""
    generate, number = world.keys.generate, itertools.count()

    async def beside(name, context, **named):
        def grant(version):
            meta = unpack_meta(version.meta)
            return dataclasses.replace(version, meta=pack_meta(structs.replace(meta, acl=b"%d" % next(number))))

        if next(number) < 6:
            await world.store.amend("b", "plain", None, grant)
        return await generate(name, context, **named)

    await (put_parts(world, "plain", bytes(99)) if parts else put(world.store, world.keys, "plain", None))
    world.keys.generate = beside
    job = await world.jobs.start(Order("b", "AES256", "plain", plain=True, attempts=9), "minio")
    await finish(job)
    assert (job.progress.objects, job.progress.failed) == (1, 0)
    meta = unpack_meta((await world.store.get("b", "plain")).meta)
    assert meta.seal
    assert meta.acl


async def test_an_upload_that_a_crash_has_left_is_aborted_and_can_be_completed_until_then(world, monkeypatch):
    await put_parts(world, "plain", bytes(99))
    abort, broken = world.store.abort_upload, asyncio.CancelledError

    async def crash(*words):
        raise broken

    monkeypatch.setattr(world.store, "complete_upload", crash)
    monkeypatch.setattr(world.store, "abort_upload", crash)
    job = await world.jobs.start(Order("b", "AES256", "plain", plain=True), "minio")
    while not (left := (await world.store.uploads("b", "", "", "", "", 9)).uploads):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    await world.jobs.close()
    assert len(left) == 1
    assert (await open_seal(unpack_meta(left[0].meta).seal, "b", "plain", world.keys)).info.multipart
    monkeypatch.undo()
    assert world.store.abort_upload == abort
    again = world.make()
    await again.resume()
    await finish(again.find(job.progress.id))
    assert (await world.store.uploads("b", "", "", "", "", 9)).uploads == ()
    assert unpack_meta((await world.store.get("b", "plain")).meta).seal


async def test_a_default_key_that_is_lost_does_not_end_a_job_as_if_its_bucket_had_gone(world, monkeypatch):
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(rewrap, "SAVE_SECONDS", 0.0)
    sealing = ClearEntries()

    async def refuse(name, plaintext):
        raise KeyNotFound("default")

    made = Jobs(world.store, world.store, world.keys, sealing, time.time, lambda *words: None)
    job = await made.start(Order("b", "aws:kms", "p/", "new"), "minio")
    sealing.seal = refuse
    await asyncio.sleep(0.05)
    assert not job.progress.cancelled
    del sealing.seal
    await finish(job)
