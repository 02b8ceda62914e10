"""What every ObjectStore and SystemStore must do, whatever it is made of."""

import asyncio
from dataclasses import replace

import pytest

from strongroom.errors import Conflict, Denied, Malformed, NotFound
from strongroom.s3.domain.ports import (
    BucketExists,
    BucketNotEmpty,
    NoSuchBucket,
    NoSuchKey,
    NoSuchPart,
    NoSuchUpload,
    NoSuchVersion,
    QuotaExceeded,
)
from strongroom.s3.domain.records import (
    NULL_VERSION,
    QUOTA,
    VERSIONING,
    BucketUsage,
    ListQuery,
    NewVersion,
    PartRecord,
    SealedBy,
)
from strongroom.s3.storage.files import open_store
from strongroom.s3.storage.memory import MemoryStore
from strongroom.s3.storage.staging import INLINE

SIZES = (0, 1, INLINE, INLINE + 1, 3_000_000)


@pytest.fixture(params=["memory", "files"])
async def store(request, tmp_path):
    it = MemoryStore() if request.param == "memory" else await open_store(tmp_path / "data")
    yield it
    await it.close()


@pytest.fixture
async def bucket(store):
    await store.create_bucket("b")
    return "b"


def data(size: int, seed: int = 1) -> bytes:
    return (bytes((seed + i * 7) % 251 for i in range(5000)) * (size // 5000 + 1))[:size]


async def put(store, key, body=b"x", bucket="b", check=None, known=True, **fields):
    staged = store.stage(bucket, len(body) if known else None)
    for at in range(0, len(body), 100_000):
        staged.write(memoryview(body)[at : at + 100_000])
    fields = {"size": len(body), "etag": b"e", "meta": b"m", **fields}
    return await store.put(bucket, NewVersion(key, **fields), staged, check)


async def content(store, key, version_id=None, bucket="b"):
    version = await store.get(bucket, key, version_id)
    return read(store, version, bucket)


def read(store, version, bucket="b"):
    body = store.open(bucket, version)
    buffer = bytearray(body.stored)
    assert body.read_into(0, memoryview(buffer)) == body.stored == version.stored
    body.close()
    return bytes(buffer)


async def keys(store, bucket="b", **query):
    return [e.key for e in (await store.list(bucket, ListQuery(**query))).entries]


async def part(store, upload, number, body, bucket="b", **fields):
    staged = store.stage(bucket, len(body))
    staged.write(body)
    return await store.put_part(bucket, upload, PartRecord(number, len(body), 0, b"p", **fields), staged)


# Buckets


async def test_a_bucket_is_made_found_and_removed(store):
    record = await store.create_bucket("one", config={"policy": b"{}"})
    assert (record.name, record.versioning, record.object_lock, dict(record.config)) == (
        "one",
        "",
        False,
        {"policy": b"{}"},
    )
    with pytest.raises(BucketExists):
        await store.create_bucket("one")
    await store.create_bucket("a")
    assert [b.name for b in await store.buckets()] == ["a", "one"]
    await store.delete_bucket("one")
    for failing in (
        store.bucket("one"),
        store.get("one", "k"),
        store.delete_bucket("one"),
        put(store, "k", bucket="one"),
    ):
        with pytest.raises(NoSuchBucket):
            await failing
    again = await store.create_bucket("one")
    assert again.uuid != record.uuid
    assert await keys(store, "one") == []


async def test_only_an_empty_bucket_goes_without_force(store, bucket):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    await store.delete(bucket, "k")
    with pytest.raises(BucketNotEmpty):
        await store.delete_bucket(bucket)
    await store.delete_bucket(bucket, force=True)
    await store.create_bucket(bucket)
    await store.create_upload(bucket, "k", b"")
    await store.delete_bucket(bucket)


async def test_configuration_documents_are_set_and_removed(store, bucket):
    before = store.changes()
    await store.configure(bucket, {"cors": b"<c/>", "tags": b"t", VERSIONING: b"Suspended"})
    assert store.changes() > before
    record = await store.configure(bucket, {"cors": None, "absent": None})
    assert dict(record.config) == {"tags": b"t"}
    assert record.versioning == "Suspended"
    assert await store.bucket(bucket) == record
    for wrong in ({VERSIONING: b"On"}, {VERSIONING: b""}, {QUOTA: b"-1"}, {"object_lock": b"x"}):
        with pytest.raises(Malformed):
            await store.configure(bucket, wrong)
    assert await store.bucket(bucket) == record


async def test_object_lock_means_versioning(store):
    record = await store.create_bucket("l", object_lock=True)
    assert record.object_lock
    assert record.versioning == "Enabled"
    assert await store.bucket("l") == record


# Objects


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("known", [True, False])
async def test_a_body_comes_back(store, bucket, size, known):
    body = data(size)
    written = await put(store, "k", body, known=known, tags=b"t", lock=b"l")
    found = await store.get(bucket, "k")
    assert found == written
    assert (found.size, found.stored, found.etag, found.meta, found.tags, found.lock) == (
        len(body), len(body), b"e", b"m", b"t", b"l",
    )  # fmt: skip
    assert (found.version_id, found.latest, found.delete_marker) == (NULL_VERSION, True, False)
    assert read(store, found) == body
    opened = store.open(bucket, found)
    assert (opened.inline is None) == (size > INLINE) or isinstance(store, MemoryStore)
    piece = bytearray(10)
    count = opened.read_into(max(0, size - 4), memoryview(piece))
    assert piece[:count] == body[max(0, size - 4) :]
    assert opened.read_into(len(body), memoryview(piece)) == 0
    opened.close()


async def test_a_plain_bucket_keeps_one_version(store, bucket):
    for size in (5, 200_000, 7):
        await put(store, "k", data(size))
    assert await content(store, "k") == data(7)
    assert (await store.usage(bucket)).versions == 1
    gone = await store.delete(bucket, "k")
    assert (gone.version_id, gone.delete_marker, gone.found) == ("", False, True)
    assert not (await store.delete(bucket, "k")).found
    with pytest.raises(NoSuchKey) as caught:
        await store.get(bucket, "k")
    assert caught.value.marker is None
    with pytest.raises(NoSuchVersion):
        await store.get(bucket, "k", "7e1d9a4c-6a0f-4fd7-a8e2-5a7ff0a6e6f7")


async def test_a_body_is_readable_after_its_version_is_gone(store, bucket):
    body = data(400_000)
    version = await put(store, "k", body)
    opened = store.open(bucket, version)
    await store.delete(bucket, "k")
    await asyncio.sleep(0.05)
    buffer = bytearray(len(body))
    assert opened.read_into(0, memoryview(buffer)) == len(body)
    assert bytes(buffer) == body
    opened.close()


async def test_enabled_versioning_keeps_every_version(store, bucket):
    first = await put(store, "k", b"zero")
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    second, third = [await put(store, "k", b"%d" % n) for n in (1, 2)]
    assert len({first.version_id, second.version_id, third.version_id}) == 3
    assert await content(store, "k") == b"2"
    assert await content(store, "k", "null") == b"zero"
    assert not (await store.get(bucket, "k", second.version_id)).latest
    marker = await store.delete(bucket, "k")
    assert marker.delete_marker
    assert marker.found
    with pytest.raises(NoSuchKey) as caught:
        await store.get(bucket, "k")
    assert caught.value.marker is not None
    assert caught.value.marker.version_id == marker.version_id
    assert (await store.get(bucket, "k", marker.version_id)).delete_marker
    page = await store.list(bucket, ListQuery(versions=True))
    assert [(e.version_id, e.latest, e.delete_marker) for e in page.entries] == [
        (marker.version_id, True, True),
        (third.version_id, False, False),
        (second.version_id, False, False),
        ("null", False, False),
    ]
    gone = await store.delete(bucket, "k", marker.version_id)
    assert (gone.version_id, gone.delete_marker) == (marker.version_id, True)
    assert (await store.get(bucket, "k")).version_id == third.version_id
    assert not (await store.delete(bucket, "k", marker.version_id)).found


async def test_three_deletes_leave_three_markers(store, bucket):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    found = [(await store.delete(bucket, "k")).found for _ in range(3)]
    assert found == [False, True, True]
    assert (await store.usage(bucket)).markers == 3
    assert await keys(store) == []


async def test_suspended_versioning_replaces_the_null_version(store, bucket):
    await put(store, "k", b"0")
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    kept = await put(store, "k", b"1")
    await store.configure(bucket, {VERSIONING: b"Suspended"})
    assert (await put(store, "k", b"2")).version_id == NULL_VERSION
    assert (await put(store, "k", data(200_000))).version_id == NULL_VERSION
    page = await store.list(bucket, ListQuery(versions=True))
    assert [e.version_id for e in page.entries] == ["null", kept.version_id]
    gone = await store.delete(bucket, "k")
    assert (gone.version_id, gone.delete_marker) == ("null", True)
    page = await store.list(bucket, ListQuery(versions=True))
    assert [(e.version_id, e.delete_marker) for e in page.entries] == [("null", True), (kept.version_id, False)]
    await store.delete(bucket, "k", "null")
    assert await content(store, "k") == b"1"


async def test_an_import_names_its_versions(store, bucket):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    for _ in range(2):  # a second time replaces
        written = await put(store, "k", b"1", version_id="old-id", modified=5)
        assert (written.version_id, written.modified) == ("old-id", 5)
    assert (await store.usage(bucket)).versions == 1


async def test_checks_see_what_is_replaced_and_refuse(store, bucket):
    seen = []

    def refuse(version):
        seen.append(version)
        raise Denied("no")

    with pytest.raises(Denied):
        await put(store, "k", data(200_000), check=refuse)
    with pytest.raises(NoSuchKey):
        await store.get(bucket, "k")
    version = await put(store, "k", b"1")
    for failing in (
        put(store, "k", b"2", check=refuse),
        store.delete(bucket, "k", None, refuse),
        store.delete(bucket, "k", "null", refuse),
    ):
        with pytest.raises(Denied):
            await failing
    assert seen == [None, version, version, version]
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    await store.delete(bucket, "k")
    with pytest.raises(Denied):
        await put(store, "k", b"2", check=refuse)
    assert seen[-1] is None
    with pytest.raises(Denied):
        await store.delete(bucket, "nothing", "null", refuse)
    assert seen[-1] is None


async def test_one_of_many_writers_wins_a_condition(store, bucket):
    def absent(version):
        if version is not None:
            raise Denied("exists")

    async def one(n):
        try:
            await put(store, "k", b"%d" % n, check=absent)
        except Denied:
            return None
        return n

    winners = [n for n in await asyncio.gather(*map(one, range(30))) if n is not None]
    assert len(winners) == 1
    assert await content(store, "k") == b"%d" % winners[0]


async def test_a_failing_check_fails_alone(store, bucket):
    def broken(version):
        raise ValueError("a bug")

    results = await asyncio.gather(
        *(put(store, f"k{n}", check=broken if n == 5 else None) for n in range(10)), return_exceptions=True
    )
    assert [isinstance(r, ValueError) for r in results] == [n == 5 for n in range(10)]
    assert len(await keys(store)) == 9


async def put_made(store, key, body, check=None):
    staged = store.stage("b", len(body))

    def make():
        staged.write(memoryview(body))
        return NewVersion(key, len(body), b"e", b"m")

    return await store.put_made("b", make, staged, check)


@pytest.mark.parametrize("size", [0, 1, 100_000])
async def test_a_body_may_be_made_when_it_is_written(store, bucket, size):
    made = await put_made(store, "k", data(size))
    assert (made.size, made.stored) == (size, size)
    assert read(store, await store.get(bucket, "k")) == data(size)


async def test_what_making_a_body_raises_reaches_its_writer_alone(store, bucket):
    def fail():
        raise Denied("no")

    async def failing(key):
        return await store.put_made(bucket, fail, store.stage(bucket, 1))

    writers = [put_made(store, "a", b"a"), failing("b"), put_made(store, "c", b"c"), failing("d")]
    results = await asyncio.gather(*writers, return_exceptions=True)
    assert [type(result) for result in results[1::2]] == [Denied, Denied]
    assert [entry.key for entry in (await store.list(bucket, ListQuery())).entries] == ["a", "c"]
    await put_made(store, "e", b"e")  # the store goes on


async def test_a_made_body_is_checked_like_any_other(store, bucket):
    await put(store, "k", b"old")

    def refuse(current):
        raise Conflict(current.key)

    with pytest.raises(Conflict):
        await put_made(store, "k", b"new", refuse)
    assert read(store, await store.get(bucket, "k")) == b"old"


async def test_a_writer_who_leaves_does_not_spoil_what_is_written(store, bucket):
    writers = [asyncio.ensure_future(put_made(store, f"k{n}", data(5000, n))) for n in range(8)]
    await asyncio.sleep(0)
    for writer in writers[::2]:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    await put(store, "last")  # behind all others
    found = (await store.list(bucket, ListQuery())).entries
    assert {f"k{n}" for n in range(1, 8, 2)} <= {entry.key for entry in found}
    for entry in found:
        if entry.key != "last":
            assert read(store, await store.get(bucket, entry.key)) == data(5000, int(entry.key[1:]))


async def test_amending_leaves_the_body(store, bucket):
    version = await put(store, "k", data(200_000))
    amended = await store.amend(
        bucket, "k", None, lambda v: replace(v, tags=b"T", lock=b"L", meta=b"M", etag=b"E", size=1)
    )
    assert amended == replace(version, tags=b"T", lock=b"L", meta=b"M", etag=b"E")
    assert await store.get(bucket, "k", "null") == amended
    assert await content(store, "k") == data(200_000)
    with pytest.raises(NoSuchKey):
        await store.amend(bucket, "other", None, lambda v: v)
    with pytest.raises(NoSuchVersion):
        await store.amend(bucket, "k", "other", lambda v: v)


async def test_a_quota_holds_in_the_transaction(store, bucket):
    await store.configure(bucket, {QUOTA: b"10"})
    results = await asyncio.gather(*(put(store, f"k{n}", b"1234") for n in range(5)), return_exceptions=True)
    assert sum(isinstance(r, QuotaExceeded) for r in results) == 3
    await put(store, "empty", b"")
    kept = (await keys(store))[1]
    await put(store, kept, b"123456")
    with pytest.raises(QuotaExceeded):
        await put(store, kept, b"1234567")
    assert (await store.usage(bucket)).size == 10


async def test_usage_follows_everything(store, bucket):
    await put(store, "a", b"123")
    await put(store, "a", b"1")
    await put(store, "b", data(200_000))
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    await put(store, "a", b"22")
    await store.delete(bucket, "b")
    upload = await store.create_upload(bucket, "u", b"")
    await part(store, upload, 1, b"12345")
    await part(store, upload, 1, b"1234")
    assert await store.usage(bucket) == BucketUsage(1, 3, 1, 200_003, 200_003, 1, 4)
    await store.abort_upload(bucket, upload)
    await store.delete(bucket, "b", "null")
    assert await store.usage(bucket) == BucketUsage(1, 2, 1, 3, 3, 0, 0)


async def test_what_a_key_protects_is_counted(store, bucket):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    for _ in range(3):
        await put(store, "a", b"123", sealed_by="k1")
    await put(store, "b", b"12345", sealed_by="k2")
    await put(store, "plain", b"1")
    await store.delete(bucket, "b")
    assert await store.sealed_by(bucket) == {"k1": SealedBy(3, 9, 1), "k2": SealedBy(1, 5, 0)}
    await store.amend(bucket, "a", None, lambda v: replace(v, sealed_by="k3"))
    assert (await store.get(bucket, "a")).sealed_by == "k3"
    assert await store.sealed_by(bucket) == {"k1": SealedBy(2, 6), "k2": SealedBy(1, 5), "k3": SealedBy(1, 3, 1)}
    for version in [v async for v in store.walk(bucket)]:
        await store.delete(bucket, version.key, version.version_id)
    assert await store.sealed_by(bucket) == {}


# Multipart


async def test_parts_become_one_object(store, bucket):
    upload = await store.create_upload(bucket, "k", b"um")
    assert await store.upload(bucket, "k", upload.upload_id) == upload
    bodies = {1: data(300_000, 1), 2: data(10, 2), 5: data(200_000, 3), 7: b"unused", 9: data(3, 9), 10: b""}
    for number in (5, 1, 2, 7, 9, 10):
        await part(store, upload, number, b"earlier")
        await part(store, upload, number, bodies[number], meta=b"pm")
    stored = await store.parts(bucket, upload)
    assert [p.number for p in stored] == [1, 2, 5, 7, 9, 10]
    assert [p.stored for p in stored] == [len(bodies[p.number]) for p in stored]
    assert [p.number for p in await store.parts(bucket, upload, 2, 2)] == [5, 7]
    chosen = [p for p in stored if p.number != 7]
    whole = b"".join(bodies[p.number] for p in chosen)
    version = await store.complete_upload(bucket, upload, chosen, NewVersion("k", len(whole), b"e", b"m"))
    assert await store.get(bucket, "k") == version
    assert version.parts == tuple(chosen)
    assert read(store, version) == whole
    opened = store.open(bucket, version)
    for start, length in (
        (0, 1),
        (299_990, 40),
        (len(whole) - 5, 50),
        (300_000, 10),
        (len(bodies[1]) - 1, len(bodies[2]) + 2),
    ):
        buffer = bytearray(length)
        count = opened.read_into(start, memoryview(buffer))
        assert bytes(buffer[:count]) == whole[start : start + length]
    opened.close()
    for failing in (store.parts(bucket, upload), store.abort_upload(bucket, upload), part(store, upload, 1, b"late")):
        with pytest.raises(NoSuchUpload):
            await failing
    assert (await store.usage(bucket)).uploads == 0


async def test_completing_is_exact(store, bucket):
    upload = await store.create_upload(bucket, "k", b"")
    old = await part(store, upload, 1, b"old")
    await part(store, upload, 1, b"new")
    new = NewVersion("k", 3, b"e", b"m")
    for numbers in ([old], [1, 2]):
        with pytest.raises(NoSuchPart):
            await store.complete_upload(bucket, upload, numbers, new)
    with pytest.raises(Denied):
        await store.complete_upload(bucket, upload, [1], new, _deny)
    results = await asyncio.gather(
        *(store.complete_upload(bucket, upload, [1], new) for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(r, NoSuchUpload) for r in results) == 2
    assert await content(store, "k") == b"new"
    with pytest.raises(NoSuchUpload):
        await store.upload(bucket, "k", upload.upload_id)


def _deny(version):
    raise Denied("no")


async def test_an_upload_belongs_to_its_key(store, bucket):
    upload = await store.create_upload(bucket, "k", b"")
    with pytest.raises(NoSuchUpload):
        await store.upload(bucket, "other", upload.upload_id)
    with pytest.raises(NoSuchUpload):
        await part(store, replace(upload, key="other"), 1, b"x")


async def test_uploads_are_listed_by_key_then_start(store, bucket):
    made = [await store.create_upload(bucket, key, b"") for key in ("c", "a/1", "b", "a/1", "a/2")]
    order = [made[1], made[3], made[4], made[2], made[0]]
    assert (await store.uploads(bucket, "", "", "", "", 10)).uploads == tuple(order)
    grouped = await store.uploads(bucket, "", "", "", "/", 2)
    assert (grouped.prefixes, grouped.uploads, grouped.truncated) == (("a/",), (made[2],), True)
    assert (grouped.next_key, grouped.next_upload) == ("b", made[2].upload_id)
    rest = await store.uploads(bucket, "", grouped.next_key, grouped.next_upload, "/", 2)
    assert (rest.prefixes, rest.uploads, rest.truncated) == ((), (made[0],), False)
    key, upload, seen = "", "", []
    while True:
        page = await store.uploads(bucket, "", key, upload, "", 1)
        seen += page.uploads
        key, upload = page.next_key, page.next_upload
        if not page.truncated:
            break
    assert seen == order
    assert (await store.uploads(bucket, "a/", "", "", "", 10)).uploads == tuple(order[:3])
    await store.abort_upload(bucket, made[3])
    assert (await store.uploads(bucket, "", "a/1", made[3].upload_id, "", 10)).uploads == (made[1], *order[2:])


# Listing

KEYS = [
    "a",
    "a b",
    "a!b",
    "b-c/1",
    "b/",
    "b/1",
    "b/2/x",
    "b/2/y",
    "b0",
    "c/1",
    "d",
    "é",
    "日本/語",
    "\U0001f600",
    "\U0010ffff",
    "\U0010ffffx",
]


async def test_keys_come_in_byte_order(store, bucket):
    for key in reversed(KEYS):
        await put(store, key)
    assert await keys(store) == sorted(KEYS, key=str.encode)
    assert await keys(store, prefix="b/") == ["b/", "b/1", "b/2/x", "b/2/y"]
    assert await keys(store, prefix="\U0010ffff") == ["\U0010ffff", "\U0010ffffx"]
    assert await keys(store, prefix="b", after="b/2/x") == ["b/2/y", "b0"]
    assert await keys(store, prefix="b/", after="zzz") == []
    assert await keys(store, after="日") == ["日本/語", "\U0001f600", "\U0010ffff", "\U0010ffffx"]


async def test_common_prefixes_count_and_come_once(store, bucket):
    for key in KEYS:
        await put(store, key)
    page = await store.list(bucket, ListQuery(delimiter="/"))
    assert page.prefixes == ("b-c/", "b/", "c/", "日本/")
    page = await store.list(bucket, ListQuery(prefix="b", delimiter="/", limit=2))
    assert (page.entries, page.prefixes, page.truncated, page.next_after) == ((), ("b-c/", "b/"), True, "b/")
    page = await store.list(bucket, ListQuery(prefix="b", delimiter="/", limit=2, after="b/"))
    assert ([e.key for e in page.entries], page.prefixes, page.truncated) == (["b0"], (), False)
    page = await store.list(bucket, ListQuery(delimiter="/", prefix="b", after="b/1"))
    assert ([e.key for e in page.entries], page.prefixes) == (["b0"], ())
    assert (await store.list(bucket, ListQuery(delimiter="2/"))).prefixes == ("b/2/",)
    empty = await store.list(bucket, ListQuery(limit=0))
    assert (empty.entries, empty.truncated) == ((), False)


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("versions", [False, True])
async def test_pages_add_up(store, bucket, delimiter, limit, versions):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    for key in KEYS:
        for _ in range(3):
            await put(store, key)
    for key in ("a b", "c/1", "b/1"):
        await store.delete(bucket, key)
    query = ListQuery(delimiter=delimiter, versions=versions)
    whole = await store.list(bucket, query)
    assert not whole.truncated
    entries, prefixes = [], []
    page_query = replace(query, limit=limit)
    while True:
        page = await store.list(bucket, page_query)
        assert len(page.entries) + len(page.prefixes) <= limit
        entries += page.entries
        prefixes += page.prefixes
        if not page.truncated:
            break
        page_query = replace(page_query, after=page.next_after, after_version=page.next_version)
    assert (tuple(entries), tuple(prefixes)) == (whole.entries, whole.prefixes)


async def test_emptying_a_bucket_page_by_page(store, bucket):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    for n in range(5):
        for _ in range(4):
            await put(store, f"k{n}")
    query = ListQuery(versions=True, limit=3)
    while True:
        page = await store.list(bucket, query)
        await asyncio.gather(*(store.delete(bucket, e.key, e.version_id) for e in page.entries))
        if not page.truncated:
            break
        query = replace(query, after=page.next_after, after_version=page.next_version)
    assert await store.usage(bucket) == BucketUsage()


async def test_many_old_versions_and_markers_are_passed_over(store, bucket):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    await asyncio.gather(*(put(store, "a") for _ in range(60)), *(store.delete(bucket, f"b{n}") for n in range(60)))
    await put(store, "c")
    assert await keys(store, limit=2) == ["a", "c"]


async def test_walking_shows_everything_once(store, bucket):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    for n in range(150):
        await put(store, f"k{n:03d}", meta=b"%d" % n)
    await put(store, "k007", meta=b"new")
    await store.delete(bucket, "k008")
    seen = [v async for v in store.walk(bucket)]
    assert len(seen) == 152
    assert [v.meta for v in seen if v.key == "k007"] == [b"new", b"7"]
    assert [v.latest for v in seen if v.key == "k008"] == [True, False]
    assert [v.key async for v in store.walk(bucket, "k1", "k147")] == ["k148", "k149"]


# The server's own entries


async def test_entries(store):
    with pytest.raises(NotFound):
        await store.load("users/a")
    before = store.changes()
    for name in ("users/b", "users/a", "policies/x"):
        await store.save(name, name.encode())
    await store.save("users/a", b"2")
    assert store.changes() > before
    assert await store.load("users/a") == b"2"
    assert await store.names("users/") == ["users/a", "users/b"]
    await store.remove("users/a")
    await store.remove("users/a")
    assert await store.names("") == ["policies/x", "users/b"]


async def test_force_does_not_remove_what_object_lock_may_protect(store):
    await store.create_bucket("worm", object_lock=True)
    await put(store, "k", bucket="worm")
    with pytest.raises(BucketNotEmpty):
        await store.delete_bucket("worm", force=True)
    await store.create_bucket("plain")
    await put(store, "k", bucket="plain")
    await store.delete_bucket("plain", force=True)


# Exchanging a version in place


async def exchange(store, bucket, version, body, check=None, **changes):
    staged = store.stage(bucket, len(body))
    staged.write(body)
    new = NewVersion(
        version.key, version.size, b"other", b"new meta", version.tags, version.lock,
        version.version_id, version.modified + 1, in_place=True, **changes,
    )  # fmt: skip
    return await store.put(bucket, new, staged, check)


@pytest.mark.parametrize("size", [3, 20_000, 200_000])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_version_is_exchanged_where_it_is(store, bucket, size, place):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    for number in range(3):
        await put(store, "a", bytes([number]) * size, sealed_by="k1")
    before = [v async for v in store.walk(bucket)]
    found = await exchange(store, bucket, before[place], b"x" * (size + 32), sealed_by="k2")
    assert (found.version_id, found.size, found.stored) == (before[place].version_id, size, size + 32)
    after = [v async for v in store.walk(bucket)]
    assert [v.version_id for v in after] == [v.version_id for v in before]
    assert [v.latest for v in after] == [True, False, False]
    assert (after[place].meta, after[place].etag) == (b"new meta", b"other")
    for number, version in enumerate(after):
        body = store.open(bucket, await store.get(bucket, "a", version.version_id))
        data = bytearray(body.stored)
        body.read_into(0, memoryview(data))
        body.close()
        assert bytes(data) == (b"x" * (size + 32) if number == place else bytes([2 - number]) * size)
    assert await store.usage(bucket) == BucketUsage(1, 3, 0, 3 * size, 3 * size + 32, 0, 0)
    newest = place == 0
    assert await store.sealed_by(bucket) == {
        "k1": SealedBy(2, 2 * size, 1 - newest),
        "k2": SealedBy(1, size, int(newest)),
    }


async def test_an_exchange_sees_the_version_itself_and_may_be_refused(store, bucket):
    await store.configure(bucket, {VERSIONING: b"Enabled"})
    old = await put(store, "a", b"old")
    await put(store, "a", b"new")
    seen = []

    def refuse(version):
        seen.append(version.version_id)
        raise Conflict("no")

    with pytest.raises(Conflict):
        await exchange(store, bucket, old, b"x", refuse)
    assert seen == [old.version_id]
    assert (await store.get(bucket, "a", old.version_id)).meta == old.meta
    await store.delete(bucket, "a", old.version_id)
    with pytest.raises(NoSuchVersion):
        await exchange(store, bucket, old, b"x")


async def test_a_reader_with_the_old_row_does_not_get_the_new_body(store, bucket):
    old = await put(store, "a", b"o" * 20_000)
    stale = await store.get(bucket, "a")
    await exchange(store, bucket, old, b"n" * 20_000)
    try:
        body = store.open(bucket, stale)
    except NoSuchVersion:
        return
    data = bytearray(20_000)
    body.read_into(0, memoryview(data))
    assert data == b"o" * 20_000


async def test_one_caller_at_a_time_is_alone(store):
    inside = most = 0

    async def enter(name):
        nonlocal inside, most
        async with store.alone(name):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*[enter("a") for _ in range(5)])
    assert most == 1
    async with store.alone("a"):
        waiting = asyncio.create_task(enter("a"))
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.wait_for(enter("b"), 10)
    await asyncio.wait_for(enter("a"), 10)  # who was cancelled while waiting does not hold it


async def test_object_lock_is_never_without_versioning(store):
    await store.create_bucket("l", object_lock=True)
    with pytest.raises(Conflict):
        await store.configure("l", {VERSIONING: b"Suspended"})
    await store.create_bucket("p")
    with pytest.raises(Conflict):
        await store.configure("p", {"object_lock": b"Enabled"})
    assert (await store.configure("p", {"object_lock": b"Enabled", VERSIONING: b"Enabled"})).object_lock
