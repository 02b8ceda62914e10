"""Deletes of what cannot be (s3.md 9)."""

import base64
import hashlib

import pytest
from s3_memory import Memory


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.send("PUT", "/data", "", {"x-amz-bucket-object-lock-enabled": "true"})
    yield made
    made.close()


def delete(world, inner):
    body = f"<Delete>{inner}</Delete>".encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return world.send("POST", "/data", "delete", {"content-md5": md5}, body)


@pytest.mark.parametrize("key", ["<Key></Key>", "<Key>/</Key>", ""])
@pytest.mark.parametrize("quiet", [False, True])
def test_an_empty_key_leaves_no_marker(world, key, quiet):
    answer = delete(world, f"<Quiet>{quiet}</Quiet><Object>{key}</Object>")
    assert answer.status == 200
    assert (b"<Deleted><Key></Key></Deleted>" in answer.body) == (not quiet)
    assert b"DeleteMarker" not in answer.body
    assert b"DeleteMarker" not in world.send("GET", "/data", "versions").body
