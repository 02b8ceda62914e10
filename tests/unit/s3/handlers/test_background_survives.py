"""What runs beside the requests goes on after errors that nobody foresaw: a busy database, a disk that fails."""

import asyncio
import contextlib
import time

import apsw
import pytest

from strongroom.s3 import crew
from strongroom.s3.domain.object_record import ObjectMeta, pack_meta, unpack_meta
from strongroom.s3.domain.records import NewVersion
from strongroom.s3.domain.rewrap import Order
from strongroom.s3.handlers import jobs, notify
from strongroom.s3.handlers.iam_store import ClearEntries
from strongroom.s3.outside.static_key import StaticKey
from strongroom.s3.storage.memory import MemoryStore


async def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(work):
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, apsw.Error):
            await task


def failing_once(store, name):
    """Make a method raise what SQLite raises, once."""
    works, failures = getattr(store, name), []

    def fail(*words):
        if not failures:
            failures.append(words)
            raise apsw.BusyError("database is locked")
        return works(*words)

    setattr(store, name, fail)
    return failures


async def test_events_are_sent_after_the_database_was_busy(monkeypatch):
    monkeypatch.setattr(notify, "RETRY_SECONDS", (0.01, 0.02))
    store, sent = MemoryStore(), []

    async def send(body):
        sent.append(body)

    await store.save("events/first/1", b"event")
    failures = failing_once(store, "names")
    async with running(notify.Notifier(store, "", {"first": send}).run()):
        await until(lambda: sent)
    assert failures


@pytest.fixture
async def plain():
    store = MemoryStore()
    await store.create_bucket("b")
    for key in ("first", "second"):
        staged = store.stage("b", 5)
        staged.write(b"hello")
        await store.put("b", NewVersion(key, 5, b"etag", pack_meta(ObjectMeta())), staged)
    return store


async def run_job(store):
    made = jobs.Jobs(store, store, StaticKey("k", bytes(32)), ClearEntries(), time.time, lambda *words: None)
    job = await made.start(Order("b", "AES256", plain=True, attempts=1), "minio")
    await until(lambda: job.progress.complete)
    await made.close()
    return job.progress


async def test_a_job_goes_on_after_the_database_was_busy(plain, monkeypatch):
    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.01)
    failures = failing_once(plain, "walk")
    progress = await run_job(plain)
    assert (progress.objects, progress.failed, len(failures)) == (2, 0, 1)


async def test_a_body_that_the_disk_does_not_give_fails_alone(plain, monkeypatch):
    works = plain.open

    def broken(bucket, version):
        if version.key == "first":
            raise OSError(5, "Input/output error")
        return works(bucket, version)

    monkeypatch.setattr(plain, "open", broken)
    progress = await run_job(plain)
    assert (progress.objects, progress.failed) == (1, 1)
    assert unpack_meta((await plain.get("b", "second")).meta).seal


async def test_work_of_siblings_is_looked_for_after_a_failure(monkeypatch):
    monkeypatch.setattr(crew, "WATCH_SECONDS", 0.01)
    looks = []

    async def look():
        looks.append(1)
        if len(looks) == 1:
            raise apsw.BusyError("database is locked")

    changes = iter([0, *[1] * 1000])
    async with running(crew.watch(lambda: next(changes), look)):
        await until(lambda: len(looks) == 2)
