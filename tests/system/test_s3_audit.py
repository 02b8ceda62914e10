"""Every use of a key leaves a chained line: requests, copies, parts, jobs, and what operators do to keys."""

import json

import pytest
from system.keys_world import DEFAULT, client, code, key, off, seconds_until, serving
from system.test_s3_keys import Chain
from system.test_s3_rewrap import finish

from strongroom.audit.chain import verify
from strongroom.s3.domain.rewrap import Order


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "keys").mkdir()
    return Chain(tmp_path)


def requests(s3):
    put = {"Bucket": "bkt", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "project"}
    s3.create_bucket(Bucket="bkt")
    s3.put_object(**put, Key="one", Body=b"1")
    s3.put_object(**put, Key="two", Body=b"2")  # under the same data key: no call of the key server, but a line
    s3.get_object(Bucket="bkt", Key="one")
    s3.head_object(Bucket="bkt", Key="one")
    s3.copy_object(Bucket="bkt", Key="copy", CopySource="bkt/one", ServerSideEncryption="AES256")
    upload = s3.create_multipart_upload(**put, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="bkt", Key="parts", UploadId=upload, PartNumber=1, Body=b"y")
    s3.complete_multipart_upload(
        Bucket="bkt", Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )


def under(key_name, version=1, kind="aws:kms"):
    return {"kind": kind, "key": key_name, "key_version": version}


async def test_every_use_of_a_key_is_audited(chain):
    log = chain.folder / "s3-audit.log"
    async with chain.kes() as kes, serving(chain, kes.port, audit=str(log), lock_within=1.0) as running:
        s3 = client(running)
        await running.service.create("project")
        await off(requests, s3)
        await key(running, "rotate", "project")
        await finish(await running.jobs.start(Order("bkt", "aws:kms", "one", "project"), "operator"))
        await key(running, "disable", "project")
        await seconds_until(lambda: _locked(s3))
    lines = log.read_bytes().splitlines(keepends=True)
    assert verify(lines).lines == len(lines)
    events = [event for event in map(json.loads, lines) if "operation" in event]
    seen = [(e["operation"], e["key"], e.get("encryption")) for e in events if e.get("bucket") == "bkt"]
    assert seen[:9] == [
        ("CreateBucket", "", None),
        ("PutObject", "one", under("project")),
        ("PutObject", "two", under("project")),
        ("GetObject", "one", under("project")),
        ("HeadObject", "one", None),
        ("CopyObject", "copy", under(DEFAULT, kind="AES256")),
        ("CreateMultipartUpload", "parts", under("project")),
        ("UploadPart", "parts", under("project")),
        ("CompleteMultipartUpload", "parts", under("project")),
    ]
    copied = next(e for e in events if e["operation"] == "CopyObject")
    assert copied["source"] == {"bucket": "bkt", "key": "one", "encryption": under("project")}
    job = next(e for e in events if e["operation"] == "keyrotate")
    assert (job["who"], job["encryption"], job["source"]) == (
        "operator",
        under("project", 2),
        {"encryption": under("project", 1)},
    )
    refused = events[-1]
    assert (refused["operation"], refused["status"], refused["encryption"]["key"]) == ("GetObject", 400, "project")
    done = [e for e in events if e["operation"] == "POST kms/v1/key/disable"]
    assert [(e["who"], e["arguments"], e["status"]) for e in done] == [("minio", {"key-id": "project"}, 200)]
    assert b"minio123" not in log.read_bytes()


async def _locked(s3):
    return await code(s3.get_object, Bucket="bkt", Key="one") == "KMS.DisabledException"
