"""Tags, locks and access control lists of encrypted objects cannot be changed in the database unnoticed."""

import asyncio
import base64
import contextlib
import datetime
import json
import os
import sqlite3
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest
from chain_process import PROGRAM
from s3_process import KEY
from system.keys_world import ROOT, client, code, off
from system.keys_world import serving as serving_chain
from system.test_s3_keys import Chain

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings, StaticSettings
from strongroom.crypto.secret import Secret
from strongroom.s3 import app
from strongroom.s3.domain.object_record import Lock, pack_lock, pack_meta, pack_tags, unpack_meta
from strongroom.s3.domain.seal_metadata import RECORD
from strongroom.s3.handlers import put

TAMPERED = "XMinioObjectTampered"
MODES = {"sse-s3": {"ServerSideEncryption": "AES256"}, "sse-kms": {"ServerSideEncryption": "aws:kms"}}
TAGS = {"TagSet": [{"Key": "class", "Value": "secret"}]}


def settings(folder, **changes):
    name, _, text = KEY.partition(":")
    kms = KmsSettings(static=StaticSettings(name, Secret(base64.b64decode(text))))
    root = RootCredentials(ROOT[0], Secret(ROOT[1].encode()))
    return app.Settings(root, folder, "127.0.0.1", 0, kms=kms, **changes)


@contextlib.asynccontextmanager
async def serving(folder, **changes):
    running = await app.start(settings(folder, **changes))
    try:
        yield running
    finally:
        await running.stop(0.1)


def change(folder, **columns):
    """Change columns of every version in the database of the one bucket, as who can write the disk would."""
    (path,) = folder.glob("buckets/*/index.db")
    assert os.access(path, os.W_OK)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for name, value in columns.items():
            connection.execute(f"UPDATE versions SET {name} = ? WHERE NOT marker", (value,))


def column(folder, name, key="o"):
    (path,) = folder.glob("buckets/*/index.db")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {name} FROM versions WHERE key = ?", (key,)).fetchone()[0]


def report(folder, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MINIO_")}
    words = [*PROGRAM, "s3", "check", str(folder), "--json"]
    done = subprocess.run(words, env={**clean, **environment}, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


def fill(s3, mode, key="o", **more):
    s3.put_object(Bucket="bucket", Key=key, Body=b"content", Tagging="class=secret", **MODES[mode], **more)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "columns", [{"tags": pack_tags({"class": "free"})}, {"tags": b""}, {"lock": pack_lock(Lock("GOVERNANCE", 1))}]
)
async def test_changed_columns_are_found_when_read_and_by_check(tmp_path, mode, columns):
    folder = tmp_path / "data"
    async with serving(folder) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket", ObjectLockEnabledForBucket=True)
        await off(fill, s3, mode)
        assert (await off(s3.get_object_tagging, Bucket="bucket", Key="o"))["TagSet"] == TAGS["TagSet"]
    assert report(folder, MINIO_KMS_SECRET_KEY=KEY)[1]["checked_tags"] == 1
    change(folder, **columns)
    status, found = report(folder, MINIO_KMS_SECRET_KEY=KEY)
    assert (status, len(found["problems"])) == (1, 1)
    assert "tags, locks" in found["problems"][0]
    assert report(folder)[1]["unchecked_tags"] == 1
    async with serving(folder) as running:
        s3 = client(running)
        where = {"Bucket": "bucket", "Key": "o"}
        version = (await off(s3.list_object_versions, Bucket="bucket"))["Versions"][0]["VersionId"]
        for call, more in (
            (s3.get_object, {}), (s3.get_object_tagging, {}), (s3.put_object_tagging, {"Tagging": TAGS}),
            (s3.get_object_legal_hold, {}), (s3.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
            (s3.delete_object, {"VersionId": version, "BypassGovernanceRetention": True}),
            (s3.copy_object, {"Key": "copy", "CopySource": where}),
        ):  # fmt: skip
            assert await code(call, **{**where, **more}) == TAMPERED, call
        assert await code(s3.head_object, **where) == "500"
        assert await code(s3.list_objects_v2, Bucket="bucket") == ""


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_changed_through_the_server_is_vouched_for_anew(tmp_path, mode):
    folder = tmp_path / "data"
    async with serving(folder) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket", ObjectLockEnabledForBucket=True)
        await off(fill, s3, mode)
        where = {"Bucket": "bucket", "Key": "o"}
        etag = (await off(s3.head_object, **where))["ETag"]
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
        await off(s3.put_object_retention, **where, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
        await off(s3.put_object_legal_hold, **where, LegalHold={"Status": "ON"})
        await off(s3.delete_object_tagging, **where)
        got = await off(s3.get_object, **where)
        assert (got["ETag"], got["ObjectLockLegalHoldStatus"], got.get("TagCount")) == (etag, "ON", None)
        listed = (await off(s3.list_objects_v2, Bucket="bucket"))["Contents"][0]
        assert listed["ETag"] == etag
    assert report(folder, MINIO_KMS_SECRET_KEY=KEY)[0] == 0
    change(folder, lock=b"")
    async with serving(folder) as running:
        assert await code(client(running).get_object, **where) == TAMPERED


@pytest.mark.parametrize("mode", MODES)
async def test_what_vouches_can_be_neither_taken_away_nor_borrowed(tmp_path, mode):
    folder = tmp_path / "data"
    async with serving(folder) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket")
        await off(s3.put_bucket_versioning, Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
        await off(fill, s3, mode)
        first = column(folder, "etag")
        await off(s3.put_object, Bucket="bucket", Key="o", Body=b"another", **MODES[mode])
        shown = (await off(s3.head_object, Bucket="bucket", Key="o"))["ETag"].strip('"')
    change(folder, etag=first, tags=pack_tags({"class": "secret"}))  # of the other version
    async with serving(folder) as running:
        assert await code(client(running).get_object, Bucket="bucket", Key="o") == TAMPERED
    change(folder, etag=shown.encode(), tags=b"")  # as before there was a seal
    async with serving(folder) as running:
        assert await code(client(running).get_object, Bucket="bucket", Key="o") == TAMPERED


async def test_rows_of_before_stay_readable_and_are_vouched_for_at_the_next_change(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    async with serving(folder) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket")
        with monkeypatch.context() as old:

            async def none(self, record, kind):
                return put.EMPTY

            old.setattr("strongroom.s3.handlers.sealing.Sealing.vouching", none)
            await off(fill, s3, "sse-kms")
        assert await code(s3.get_object, Bucket="bucket", Key="o") == ""
    assert report(folder, MINIO_KMS_SECRET_KEY=KEY)[1]["unsealed_tags"] == 1
    async with serving(folder) as running:
        s3 = client(running)
        await off(s3.put_object_tagging, Bucket="bucket", Key="o", Tagging=TAGS)
        assert await code(s3.get_object, Bucket="bucket", Key="o") == ""
    assert report(folder, MINIO_KMS_SECRET_KEY=KEY)[1]["unsealed_tags"] == 0
    change(folder, tags=b"")
    async with serving(folder) as running:
        assert await code(client(running).get_object_tagging, Bucket="bucket", Key="o") == TAMPERED


async def test_access_control_lists_are_vouched_for(tmp_path):
    folder = tmp_path / "data"
    async with serving(folder) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket")
        rules = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
        await off(s3.put_bucket_ownership_controls, Bucket="bucket", OwnershipControls=rules)
        await off(fill, s3, "sse-s3")
        await off(s3.put_object_acl, Bucket="bucket", Key="o", ACL="public-read")
        assert len((await off(s3.get_object_acl, Bucket="bucket", Key="o"))["Grants"]) == 2
    meta = unpack_meta(column(folder, "meta"))
    assert meta.seal[RECORD]
    change(folder, meta=pack_meta(msgspec.structs.replace(meta, acl=b"")))
    async with serving(folder) as running:
        assert await code(client(running).get_object, Bucket="bucket", Key="o") == TAMPERED


async def test_while_the_key_box_is_away_reads_go_on_and_changes_do_not(tmp_path):
    (tmp_path / "keys").mkdir()
    chain = Chain(tmp_path)
    folder = Path(chain.folder) / "data"
    async with chain.kes() as kes, serving_chain(chain, kes.port) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket")
        await off(fill, s3, "sse-kms")
    async with serving_chain(chain, 1) as running:  # nobody there
        s3 = client(running)
        assert (await off(s3.get_object_tagging, Bucket="bucket", Key="o"))["TagSet"] == TAGS["TagSet"]
        assert await code(s3.head_object, Bucket="bucket", Key="o") == ""
        assert (await code(s3.put_object_tagging, Bucket="bucket", Key="o", Tagging=TAGS)).startswith("kms:")
    change(folder, tags=b"")
    async with chain.kes() as kes, serving_chain(chain, kes.port) as running:
        assert await code(client(running).get_object_tagging, Bucket="bucket", Key="o") == TAMPERED


async def test_an_etag_that_cannot_be_told_now_is_not_another_one(tmp_path):
    """A client that is told 412 or `InvalidPart` gives up, or takes what it sent away."""
    (tmp_path / "keys").mkdir()
    chain, sealed = Chain(tmp_path), {"ServerSideEncryption": "AES256"}
    where, away = {"Bucket": "bucket", "Key": "o"}, "kms:DecryptionFailed"
    async with chain.kes() as kes, serving_chain(chain, kes.port) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket")
        etag = (await off(s3.put_object, **where, Body=b"x", **sealed))["ETag"]
        upload = (await off(s3.create_multipart_upload, **where, **sealed))["UploadId"]
        part = await off(s3.upload_part, **where, UploadId=upload, PartNumber=1, Body=b"part")
    whole = {"UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}}
    async with serving_chain(chain, 1) as running:  # nobody there
        s3 = client(running)
        assert await code(s3.put_object, **where, Body=b"plain", IfMatch=etag) == away
        assert await code(s3.put_object, **where, Body=b"plain", IfNoneMatch="*") == "PreconditionFailed"
        assert await code(s3.delete_object, **where, IfMatch=etag) == away
        assert await code(s3.get_object, **where, IfMatch=etag) == away
        source = {"CopySource": "bucket/o", "CopySourceIfMatch": etag}
        assert await code(s3.copy_object, Bucket="bucket", Key="copy", **source) == away
        entries = {"Objects": [{"Key": "o", "ETag": etag}]}
        assert (await off(s3.delete_objects, Bucket="bucket", Delete=entries))["Errors"][0]["Code"] == away
        assert await code(s3.complete_multipart_upload, **where, **whole) == away
    async with chain.kes() as kes, serving_chain(chain, kes.port) as running:
        s3 = client(running)
        assert await code(s3.put_object, **where, Body=b"plain", IfMatch='"another"') == "PreconditionFailed"
        assert await code(s3.complete_multipart_upload, **where, **whole) == ""


def over_tls(s3):
    """Make a client's requests count as come over TLS, by a trusted proxy."""
    s3.meta.events.register(
        "before-sign.s3", lambda request, **_: request.headers.add_header("x-forwarded-proto", "https")
    )
    # boto3 itself sends a customer's key over plain HTTP to an address that was given to it
    return s3


async def test_what_more_is_vouched_for_and_what_is_not(tmp_path):
    folder, key = tmp_path / "data", {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    async with serving(folder, trusted_proxies=("127.0.0.1",)) as running:
        s3 = over_tls(client(running))
        await off(s3.create_bucket, Bucket="bucket")
        await off(s3.put_object, Bucket="bucket", Key="c-alone", Body=b"x", Tagging="class=secret", **key)
        await off(s3.put_object, Bucket="bucket", Key="plain", Body=b"x", Tagging="class=secret")
        await off(fill, s3, "sse-s3", "s3")
        await off(s3.put_object, Bucket="bucket", Key="c", Body=b"x", Tagging="class=secret", **key)
        dual = {"ServerSideEncryption": "aws:kms:dsse"}
        await off(s3.put_object, Bucket="bucket", Key="dsse", Body=b"x", Tagging="class=secret", **dual)
        for name, mode, part_key in (("parts-s3", MODES["sse-s3"], {}), ("parts-c", key, key)):
            made = await off(s3.create_multipart_upload, Bucket="bucket", Key=name, Tagging="class=secret", **mode)
            where = {"Bucket": "bucket", "Key": name, "UploadId": made["UploadId"]}
            part = await off(s3.upload_part, **where, PartNumber=1, Body=b"part", **part_key)
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            await off(s3.complete_multipart_upload, **where, MultipartUpload=parts)  # without the customer's key
        for name in ("c-alone", "c", "parts-c"):
            assert await code(s3.get_object, Bucket="bucket", Key=name, **key) == ""
        for name in ("plain", "s3", "dsse", "parts-s3"):
            assert await code(s3.get_object, Bucket="bucket", Key=name) == ""
    found = report(folder, MINIO_KMS_SECRET_KEY=KEY)[1]
    assert (found["checked_tags"], found["unsealed_tags"], found["problems"]) == (5, 1, [])  # c-alone came too early
    change(folder, tags=pack_tags({"class": "free"}))
    async with serving(folder, trusted_proxies=("127.0.0.1",)) as running:
        s3 = over_tls(client(running))
        for name in ("s3", "c", "dsse", "parts-s3", "parts-c"):
            assert await code(s3.get_object_tagging, Bucket="bucket", Key=name) == TAMPERED, name
        for name in ("c-alone", "plain"):
            assert await code(s3.get_object_tagging, Bucket="bucket", Key=name) == "", name


async def test_rules_and_policies_do_not_go_by_changed_tags(tmp_path, caplog):
    folder = tmp_path / "data"
    async with serving(folder) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket")
        await off(fill, s3, "sse-s3")
        rule = {"ID": "r", "Status": "Enabled", "Expiration": {"Days": 1}}
        rule["Filter"] = {"Tag": {"Key": "class", "Value": "free"}}
        await off(s3.put_bucket_lifecycle_configuration, Bucket="bucket", LifecycleConfiguration={"Rules": [rule]})
        condition = {"StringEquals": {"s3:ExistingObjectTag/class": "free"}}
        allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"}
        policy = {"Version": "2012-10-17", "Statement": [{**allow, "Condition": condition}]}
        await off(s3.put_bucket_policy, Bucket="bucket", Policy=json.dumps(policy))
    change(folder, tags=pack_tags({"class": "free"}))
    async with serving(folder, day_seconds=0.1) as running:
        await asyncio.sleep(0.6)
        assert "stays" in caplog.text
        assert (await off(client(running).list_objects_v2, Bucket="bucket"))["KeyCount"] == 1
        request = urllib.request.Request(f"{running.url}/bucket/o")
        with pytest.raises(urllib.error.HTTPError) as caught:
            await off(urllib.request.urlopen, request)
        assert caught.value.code == 500


@pytest.mark.parametrize("mode", MODES)
async def test_a_list_key_that_no_document_names_vouches_for_nothing(tmp_path, mode):
    folder = tmp_path / "data"
    async with serving(folder) as running:
        s3 = client(running)
        await off(s3.create_bucket, Bucket="bucket")
        await off(fill, s3, mode)
    etag = column(folder, "etag")
    at = 1 if etag[:1] == b"\x02" else etag.index(b"\0") + 1
    change(folder, etag=etag[:at] + b"none" + etag[at + 4 :], tags=pack_tags({"class": "free"}))
    async with serving(folder) as running:
        assert await code(client(running).get_object, Bucket="bucket", Key="o") == TAMPERED
        assert await code(client(running).get_object_tagging, Bucket="bucket", Key="o") == TAMPERED
        assert await code(client(running).list_objects_v2, Bucket="bucket") == ""
