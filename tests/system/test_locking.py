"""The second guide's promise: a disabled key locks its objects within the bounds, a deleted one erases them.

Bounds (docs/reference/s3-encryption.md): at most 1 s after `disable` is answered when s3 streams from the key server
that was asked, `lock_within` + 1 s through another, `lock_within` without any stream. The key servers here have 1 s.
"""

import asyncio
import hashlib
import time

import pytest
from botocore.exceptions import ClientError
from system.keys_world import DEFAULT, ROOT, client, code, key, off, seconds_until, serving, signed_get
from system.s3_process import S3Process
from system.test_s3_keys import Chain

from strongroom.errors import NotFound

WITHIN = 1.0  # seconds: lock_within of every server here
LOCKED = "KMS.DisabledException"
LARGE = 48 * 1024 * 1024


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "keys").mkdir()
    return Chain(tmp_path)


def content(size=5):
    return hashlib.shake_128(b"locking").digest(size)


def fill(s3):
    s3.create_bucket(Bucket="vault")
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="vault", Key="s3", Body=content(), ServerSideEncryption="AES256")
    s3.put_object(Bucket="vault", Key="kms", Body=content(), ServerSideEncryption="aws:kms", SSEKMSKeyId="project")
    s3.put_object(
        Bucket="vault", Key="own", Body=content(), ServerSideEncryption="aws:kms", SSEKMSKeyId="project",
        SSEKMSEncryptionContext="eyJhIjoiYiJ9",
    )  # fmt: skip
    s3.put_object(Bucket="vault", Key="plain", Body=content())
    upload = s3.create_multipart_upload(
        Bucket="vault", Key="parts", ServerSideEncryption="aws:kms", SSEKMSKeyId="project"
    )["UploadId"]
    part = s3.upload_part(Bucket="vault", Key="parts", UploadId=upload, PartNumber=1, Body=content())
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="vault", Key="parts", UploadId=upload, MultipartUpload=parts)
    return s3.create_multipart_upload(
        Bucket="vault", Key="begun", ServerSideEncryption="aws:kms", SSEKMSKeyId="project"
    )


async def read(s3, name):
    return await code(s3.get_object, Bucket="vault", Key=name)


async def ready(chain, running):
    s3 = client(running)
    await running.service.create("project")
    begun = await off(fill, s3)
    await seconds_until(lambda: _live(running))
    return s3, begun["UploadId"]


async def _live(running):
    return running.service.events.live


async def all_refused(s3, upload, expected):
    """Every way to the bytes, in or out, is refused; what says nothing of them works."""
    put = {"Bucket": "vault", "Key": "new", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "project"}
    calls = {
        "get": (s3.get_object, {"Bucket": "vault", "Key": "kms"}),
        "range": (s3.get_object, {"Bucket": "vault", "Key": "kms", "Range": "bytes=1-2"}),
        "get, own context": (s3.get_object, {"Bucket": "vault", "Key": "own"}),
        "get, multipart": (s3.get_object, {"Bucket": "vault", "Key": "parts"}),
        "put": (s3.put_object, {**put, "Body": b"x"}),
        "copy from": (s3.copy_object, {"Bucket": "other", "Key": "c", "CopySource": "vault/kms"}),
        "copy to": (s3.copy_object, {**put, "CopySource": "vault/plain"}),
        "part": (
            s3.upload_part,
            {"Bucket": "vault", "Key": "begun", "UploadId": upload, "PartNumber": 1, "Body": b"x"},
        ),
        "new upload": (s3.create_multipart_upload, put),
    }
    found = {name: await code(call, **arguments) for name, (call, arguments) in calls.items()}
    assert found == dict.fromkeys(calls, expected)
    with pytest.raises(ClientError) as refused:
        await off(s3.get_object, Bucket="vault", Key="kms")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == (400 if expected == LOCKED else 404)
    head = await off(s3.head_object, Bucket="vault", Key="kms")
    assert (head["ContentLength"], head["SSEKMSKeyId"]) == (5, "arn:aws:kms:project")
    listed = await off(s3.list_objects_v2, Bucket="vault")
    assert [one["Key"] for one in listed["Contents"]] == ["kms", "own", "parts", "plain", "s3"]
    assert listed["Contents"][4]["ETag"].strip('"') == hashlib.md5(content()).hexdigest()
    assert [await read(s3, "s3"), await read(s3, "plain")] == ["", ""]  # under another key, under none


async def test_a_disabled_key_locks_its_objects_and_enabling_lifts_it(chain):
    async with chain.kes() as kes, serving(chain, kes.port, lock_within=WITHIN) as running:
        s3, upload = await ready(chain, running)
        for name in ("kms", "own", "parts"):
            assert await read(s3, name) == ""  # its data key is in memory now
        await key(running, "disable", "project")
        taken = await seconds_until(lambda: _refused(s3, "kms"))
        print(f"streaming from the server that was asked: locked after {taken:.3f} s")
        assert taken <= 1.0
        await all_refused(s3, upload, LOCKED)
        assert (await key(running, "info", "project"))["state"] == "disabled"
        await key(running, "enable", "project")
        assert await seconds_until(lambda: _readable(s3, "kms")) <= 1.0
        assert [await read(s3, name) for name in ("own", "parts", "s3")] == [""] * 3
        done = await off(s3.upload_part, Bucket="vault", Key="begun", UploadId=upload, PartNumber=1, Body=b"x")
        parts = {"Parts": [{"PartNumber": 1, "ETag": done["ETag"]}]}
        await off(s3.complete_multipart_upload, Bucket="vault", Key="begun", UploadId=upload, MultipartUpload=parts)


async def _refused(s3, name, expected=LOCKED):
    return await read(s3, name) == expected


async def _readable(s3, name):
    return await read(s3, name) == ""


async def test_a_lock_spreads_through_another_key_server(chain):
    """s3 knows one of two servers; the key is disabled at the other."""
    async with chain.kes() as near, chain.kes() as far, serving(chain, near.port, lock_within=WITHIN) as running:
        s3, upload = await ready(chain, running)
        async with chain.service(far.port, within=WITHIN) as operator:
            for name in ("kms", "parts"):
                assert await read(s3, name) == ""
            await operator.change("disable", "project")
            taken = await seconds_until(lambda: _refused(s3, "kms"))
            print(f"through another key server: locked after {taken:.3f} s")
            assert taken <= WITHIN + 1.0
            await all_refused(s3, upload, LOCKED)
            await operator.change("enable", "project")
        assert await seconds_until(lambda: _readable(s3, "kms")) <= WITHIN + 1.0


async def test_a_second_server_that_has_not_heard_cannot_reopen_a_lock(chain):
    """s3 streams from both and asks either of them; once one has told, nothing opens any more."""
    async with chain.kes() as one, chain.kes() as two:  # noqa: SIM117  # the two ports are needed inside
        async with serving(chain, one.port, two.port, lock_within=WITHIN) as running:
            s3, _ = await ready(chain, running)
            await key(running, "disable", "project")
            await seconds_until(lambda: _refused(s3, "kms"))
            for _ in range(20):
                running.service.keys.forget()
                assert await read(s3, "kms") == LOCKED


async def test_without_a_stream_the_bound_holds_by_time(chain, monkeypatch):
    """As behind an original KES, which has no events: opened data keys live `lock_within` seconds."""
    from strongroom.sdk.kes import KesClient

    async def none(self, after="", endpoint=""):
        raise NotFound("no such route")
        yield {}

    monkeypatch.setattr(KesClient, "events", none)
    async with chain.kes() as kes, serving(chain, kes.port, lock_within=WITHIN) as running:
        s3 = client(running)
        await running.service.create("project")
        await off(fill, s3)
        async with chain.service(kes.port) as operator:
            assert await read(s3, "kms") == ""
            await operator.change("disable", "project")
            taken = await seconds_until(lambda: _refused(s3, "kms"))
            print(f"without a stream: locked after {taken:.3f} s")
            assert taken <= WITHIN + 0.5
            await operator.change("enable", "project")
        assert await read(s3, "kms") == ""


async def test_a_deleted_key_erases_its_objects(chain):
    async with chain.kes() as kes:
        async with serving(chain, kes.port, lock_within=WITHIN) as running:
            s3, upload = await ready(chain, running)
            assert (await key(running, "usage", "project"))["objects"] == 3
            await key(running, "delete", "project", after="1h")
            await seconds_until(lambda: _refused(s3, "kms"))
            await all_refused(s3, upload, LOCKED)
            await key(running, "restore", "project")
            await seconds_until(lambda: _readable(s3, "kms"))
            await key(running, "delete", "project", after="1s")
            await seconds_until(lambda: _refused(s3, "kms", "kms:KeyNotFound"))
            await all_refused(s3, upload, "kms:KeyNotFound")
            assert await code(s3.delete_object, Bucket="vault", Key="own") == ""  # what is lost can be removed
        async with serving(chain, kes.port, lock_within=WITHIN) as running:  # nothing in memory could help
            s3 = client(running)
            await all_gone(s3, "kms:KeyNotFound")
            async with chain.service(kes.port) as operator:
                await operator.client.recreate("project")  # a new key under the old name
                assert await code(s3.put_object, Bucket="vault", Key="new", Body=b"x", **UNDER) == ""
            await all_gone(s3, "kms:InvalidCiphertextException")
            assert await read(s3, "new") == ""


UNDER = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "project"}


async def all_gone(s3, expected):
    assert [await read(s3, name) for name in ("kms", "parts")] == [expected] * 2


async def drain(s3, started: asyncio.Event, loop, go: "asyncio.Future[None]"):
    """Begin to read the large object, wait for `go` after the first bytes, and return how many bytes came."""

    def run():
        body = s3.get_object(Bucket="vault", Key="large")["Body"]
        count = len(body.read(64 * 1024))
        loop.call_soon_threadsafe(started.set)
        while not go.done():
            time.sleep(0.01)
        try:
            while piece := body.read(1024 * 1024):
                count += len(piece)
        except Exception as error:  # whatever the client calls a broken transfer
            return count, type(error).__name__
        return count, ""

    return await asyncio.to_thread(run)


@pytest.mark.parametrize("cut", [True, False])
async def test_running_reads_are_cut_when_asked_for(chain, cut):
    async with chain.kes() as kes, serving(chain, kes.port, lock_within=WITHIN, cut_running_reads=cut) as running:
        s3, _ = await ready(chain, running)
        await off(s3.put_object, Bucket="vault", Key="large", Body=content(LARGE), **UNDER)
        loop = asyncio.get_running_loop()
        started, go = asyncio.Event(), loop.create_future()
        reading = asyncio.create_task(drain(s3, started, loop, go))
        await started.wait()
        await key(running, "disable", "project")
        await seconds_until(lambda: _refused(s3, "large"))
        go.set_result(None)
        count, failure = await reading
        assert (count < LARGE and failure != "") if cut else (count, failure) == (LARGE, "")
        await key(running, "enable", "project")
        await seconds_until(lambda: _readable(s3, "large"))
        assert running.box.reads is None or running.box.reads.keys == []


async def test_a_lock_that_was_missed_cuts_running_reads_later(chain):
    """The key server restarts while the key is disabled elsewhere: the stream begins anew, and s3 asks."""
    async with chain.kes() as near, chain.kes() as far:  # noqa: SIM117  # as above
        async with serving(chain, near.port, lock_within=WITHIN, cut_running_reads=True) as running:
            s3, _ = await ready(chain, running)
            await off(s3.put_object, Bucket="vault", Key="large", Body=content(LARGE), **UNDER)
            loop = asyncio.get_running_loop()
            started, go = asyncio.Event(), loop.create_future()
            reading = asyncio.create_task(drain(s3, started, loop, go))
            await started.wait()
            port = near.port
            await near.stop(0.1)
            async with chain.service(far.port) as operator:
                await operator.change("disable", "project")
            async with chain.kes(port=port):
                await seconds_until(lambda: _cut(running, "project"))
                go.set_result(None)
                count, failure = await reading
                assert 0 < count < LARGE
                assert failure != ""


async def _cut(running, name):
    return all(reading.cut for reading in running.box.reads._running.get(name, ()))


async def test_a_deletion_that_came_due_while_no_key_server_ran(chain):
    async with chain.kes() as kes, chain.service(kes.port) as operator:
        await operator.create("project")
        await operator.delete("project", 0.5)
    assert (chain.folder / "keys" / "project").exists()
    await asyncio.sleep(0.6)
    async with chain.kes():
        await seconds_until(lambda: _gone(chain.folder / "keys"))


async def _gone(folder):
    return not (folder / "project").exists() and not (folder / "project-deletion-").exists()


def processes(chain, port, **environment):
    """Run the server's command with two worker processes, in front of the key server at this port."""
    pair, ca = chain.pair("s3"), chain.pair("authority").certificate
    return S3Process(
        chain.folder / "data",
        MINIO_KMS_SECRET_KEY="",
        MINIO_KMS_AUTO_ENCRYPTION="off",
        MINIO_KMS_KES_ENDPOINT=f"https://127.0.0.1:{port}",
        MINIO_KMS_KES_KEY_NAME=DEFAULT,
        MINIO_KMS_KES_KEY_FILE=str(pair.key),
        MINIO_KMS_KES_CERT_FILE=str(pair.certificate),
        MINIO_KMS_KES_CAPATH=str(ca),
        STRONGROOM_S3_WORKERS="2",
        **environment,
    )


async def test_a_lock_holds_in_every_worker_process(chain):
    """Each of many fresh connections goes to one of two processes: none may read within the bound's end."""
    async with chain.kes() as kes, chain.service(kes.port) as operator:
        await operator.create("project")
        server = await off(processes(chain, kes.port, STRONGROOM_LOCK_WITHIN_SECONDS="1").start)
        try:
            clients = [server.client() for _ in range(12)]
            await off(clients[0].create_bucket, Bucket="vault")
            await off(clients[0].put_object, Bucket="vault", Key="kms", Body=content(), **UNDER)
            assert {await read(s3, "kms") for s3 in clients} == {""}
            await asyncio.sleep(1.0)  # the streams of both processes are live
            await operator.change("disable", "project")
            await asyncio.sleep(1.0)
            fresh = [server.client() for _ in range(12)]
            assert {await read(s3, "kms") for s3 in [*clients, *fresh]} == {LOCKED}
            status, found = await off(signed_get, f"{server.url}/minio/kms/v1/key/usage?key-id=project", ROOT)
            assert (status, found["objects"]) == (200, 1)
            await operator.change("enable", "project")
            await asyncio.sleep(1.0)
            assert {await read(s3, "kms") for s3 in [*clients, *fresh]} == {""}
        finally:
            assert await off(server.stop) == 0
