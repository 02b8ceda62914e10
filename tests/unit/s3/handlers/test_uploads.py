"""Multipart uploads in their corner cases (s3.md 6)."""

import base64
import hashlib

import pytest
from s3_memory import Memory
from s3_modes import MODES, Upload

from strongroom.s3.handlers.call import BoxSettings

SHA256 = "x-amz-checksum-sha256"


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.box.settings = BoxSettings(min_part=1)
    made.send("PUT", "/data")
    made.send("PUT", "/versions")
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    made.send("PUT", "/versions", "versioning", {}, body)
    yield made
    made.close()


def told(answer):
    """Return what an answer says, without its request id."""
    kept = {name: value for name, value in answer.headers.items() if not name.startswith(("x-amz-request", "x-amz-id"))}
    return answer.status, kept, answer.body


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bucket", ["data", "versions"])
def test_a_repeated_complete_gets_the_first_one_s_answer(world, mode, bucket):
    upload = Upload(world, f"/{bucket}/again", mode, {"x-amz-checksum-algorithm": "SHA256"})
    for number in (2, 5):
        content = b"%d" % number
        upload.part(number, content, {SHA256: base64.b64encode(hashlib.sha256(content).digest()).decode()})
    first = upload.complete()
    assert first.status == 200
    assert told(upload.complete()) == told(first)


@pytest.mark.parametrize("mode", MODES)
def test_a_repeated_complete_of_other_parts_is_no_success(world, mode):
    upload = Upload(world, "/data/other", mode)
    upload.part(1, b"one")
    upload.part(2, b"two")
    assert upload.complete().status == 200
    for parts in (
        {1: upload.parts[1]},
        {1: upload.parts[1], 3: upload.parts[2]},
        {1: upload.parts[2], 2: upload.parts[1]},
        {1: upload.parts[1], 2: "nonsense"},
    ):
        assert upload.complete(parts).code == "NoSuchUpload"
    assert upload.complete(path="/data/else").code == "NoSuchUpload"


@pytest.mark.parametrize(
    ("host", "path", "wanted"),
    [
        ("h:9000", "/data/a%20b/%C3%A9", "https://h:9000/data/a%20b/%C3%A9"),
        ("data.s3.test:9000", "/a%20b/%C3%A9", "https://data.s3.test:9000/a%20b/%C3%A9"),
        ("s3.test", "/data/a%20b/%C3%A9", "https://s3.test/data/a%20b/%C3%A9"),
    ],
)
def test_where_an_object_is_told_to_be_it_can_be_asked_for(world, monkeypatch, host, path, wanted):
    monkeypatch.setattr(world.box, "settings", BoxSettings(min_part=1, domains=("s3.test",)))
    upload = Upload(world, path, more={"host": host})
    upload.part(1, b"hello")
    answer = upload.complete()
    assert f"<Location>{wanted}</Location>" in answer.body.decode()
    there = wanted.removeprefix(f"https://{host}")
    assert world.send("GET", there, "", {"host": host}).body == b"hello"
