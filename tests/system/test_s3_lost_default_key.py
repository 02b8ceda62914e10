"""A server whose default key is lost, exchanged or locked starts: root is served, users wait until it is back."""

import base64
import contextlib
import dataclasses
import json

import pytest
from s3_process import KEY
from system.keys_world import DEFAULT, ROOT, admin, client, code, key, off, seconds_until, serving, settings
from system.test_locking import LOCKED, WITHIN
from system.test_s3_keys import Chain
from system.test_s3_rewrap import finish

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings, StaticSettings
from strongroom.crypto import madmin
from strongroom.crypto.secret import Secret
from strongroom.s3 import app, beginning
from strongroom.s3.domain.rewrap import Order

ALICE = ("alice", "alicesecret")
OBJECT = {"Bucket": "bucket", "Key": "o"}
ADMIN = "/minio/admin/v3/"
NOT_YET = "XMinioServerNotInitialized"
RIGHT = base64.b64decode(KEY.partition(":")[2])
KEYS = {"other bytes": ("k", bytes(32)), "another name": ("renamed", RIGHT), "no key service": None}


@contextlib.asynccontextmanager
async def with_key(folder, pair):
    kms = KmsSettings(static=StaticSettings(pair[0], Secret(pair[1]))) if pair else KmsSettings()
    root = RootCredentials(ROOT[0], Secret(ROOT[1].encode()))
    running = await app.start(app.Settings(root, folder, "127.0.0.1", 0, kms=kms))
    try:
        yield running
    finally:
        await running.stop(0.1)


async def add_alice(running):
    """Add a user who may do everything; return the status and code of the answer."""

    record = json.dumps({"secretKey": ALICE[1], "status": "enabled"}).encode()
    user = madmin.seal(ROOT[1].encode(), record, madmin.Scheme.PBKDF2_AES_GCM)
    status, document = await off(admin, running, "PUT", ADMIN + "add-user", user, accessKey=ALICE[0])
    if status == 200:
        rights = {"policyName": "readwrite", "userOrGroup": ALICE[0], "isGroup": "false"}
        status, document = await off(admin, running, "PUT", ADMIN + "set-user-or-group-policy", **rights)
    return status, document.get("Code", "")


@pytest.mark.parametrize("name", KEYS)
async def test_a_lost_key_keeps_users_out_and_root_in(tmp_path, name):
    """Sse.md 18 row 10: what a lost key closed is whole again when the key is back."""
    folder = tmp_path / "data"
    async with with_key(folder, ("k", RIGHT)) as running:
        await off(client(running).create_bucket, Bucket="bucket")
        assert await add_alice(running) == (200, "")
        assert await code(client(running, ALICE).put_object, Bucket="bucket", Key="o", Body=b"x") == ""
    async with with_key(folder, KEYS[name]) as running:
        assert "iam/users/alice" in "".join(running.warnings)
        assert await code(client(running).put_object, Bucket="bucket", Key="p", Body=b"x") == ""
        assert await code(client(running, ALICE).get_object, Bucket="bucket", Key="o") == NOT_YET
        assert await add_alice(running) == (503, NOT_YET)  # or it would be sealed under the wrong key
    async with with_key(folder, ("k", RIGHT)) as running:
        assert running.warnings == []
        assert await code(client(running, ALICE).get_object, Bucket="bucket", Key="p") == ""


async def test_a_start_while_the_default_key_is_locked(tmp_path, monkeypatch):
    """Sse.md 18 row 9: the start ended, and nobody was served."""
    monkeypatch.setattr(beginning, "RETRY_SECONDS", 0.2)
    (tmp_path / "keys").mkdir()
    chain = Chain(tmp_path)
    async with chain.kes(within=WITHIN) as kes:
        async with serving(chain, kes.port) as running:
            s3 = client(running)
            await off(s3.create_bucket, Bucket="bucket")
            await running.service.create("project")
            await add_alice(running)
            await off(s3.put_object, **OBJECT, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="project")
            await key(running, "disable", DEFAULT)
        async with serving(chain, kes.port) as running:
            s3 = client(running)
            assert await code(s3.get_object, Bucket="bucket", Key="o") == ""
            assert (
                await code(s3.put_object, Bucket="bucket", Key="n", Body=b"x", ServerSideEncryption="AES256") == LOCKED
            )
            assert await code(client(running, ALICE).get_object, Bucket="bucket", Key="o") == NOT_YET
            await key(running, "enable", DEFAULT)

            async def back():
                return await code(client(running, ALICE).get_object, Bucket="bucket", Key="o") == ""

            await seconds_until(back)


async def test_another_default_key_takes_over(tmp_path):
    """Sse.md 18 rows 10 and 21: the deployment's one key can be exchanged, objects, users and all."""
    (tmp_path / "keys").mkdir()
    chain = Chain(tmp_path)
    sealed = {"ServerSideEncryption": "AES256"}
    async with chain.kes() as kes:
        async with serving(chain, kes.port) as running:
            s3 = client(running)
            await off(s3.create_bucket, Bucket="bucket")
            await add_alice(running)
            await off(s3.put_object, **OBJECT, Body=b"old", **sealed)
        kms = settings(chain, kes.port).kms
        kms = dataclasses.replace(kms, kes=dataclasses.replace(kms.kes, key_name="minio-key-2"))
        async with serving(chain, kes.port, kms=kms) as running:
            assert running.warnings == []
            alices = client(running, ALICE)
            assert await code(alices.put_object, Bucket="bucket", Key="n", Body=b"new", **sealed) == ""
            assert (await key(running, "usage", DEFAULT))["objects"] == 1
            await finish(await running.jobs.start(Order("bucket", "AES256"), "minio"))
            await add_alice(running)  # saved again
            found = await key(running, "usage", DEFAULT)
            assert (found["objects"], found["users-and-policies"]) == (0, 0)
            assert (await key(running, "usage", "minio-key-2"))["objects"] == 2
            await key(running, "disable", DEFAULT)
            for name in ("o", "n"):
                assert await code(alices.get_object, Bucket="bucket", Key=name) == ""
        async with serving(chain, kes.port, kms=kms) as running:
            assert running.warnings == []
            assert await code(client(running, ALICE).get_object, **OBJECT) == ""
