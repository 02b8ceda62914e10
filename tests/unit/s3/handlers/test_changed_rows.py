"""Whatever is changed in the row of a sealed object behind the server's back is noticed (sse.md 18)."""

import base64
import json
from dataclasses import replace

import pytest
from msgspec import structs
from s3_memory import Memory
from s3_modes import METHOD, SEALED, Upload, change, rows, sender, to_read

from strongroom.s3.domain.object_record import pack_meta, unpack_meta
from strongroom.s3.handlers.call import BoxSettings


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.box.settings = BoxSettings(min_part=1)
    made.send("PUT", "/data")
    yield made
    made.close()


@pytest.fixture
def send(world):
    return sender(world, 200)


@pytest.mark.parametrize("mode", SEALED)
def test_truncation_to_nothing_is_found(world, send, mode):
    """Sse.md 18 row 15: an encrypted empty object is no bytes at all, and so is one that was cut."""
    key = to_read(mode)
    send("PUT", "/data/cut", "", SEALED[mode], b"hello")
    send("PUT", "/data/empty", "", SEALED[mode], b"")
    assert send("GET", "/data/empty", "", key).body == b""
    change(world, "cut", size=0, stored=0, place=b"")
    answer = world.send("GET", "/data/cut", "", key, tls=True)
    assert (answer.status, answer.code) == (500, "XMinioObjectTampered")


@pytest.mark.parametrize("mode", SEALED)
def test_parts_are_neither_left_out_nor_exchanged_nor_renumbered(world, send, mode):
    """Sse.md 18 row 15: count and order of parts are authenticated."""
    key = to_read(mode)
    upload = Upload(world, "/data/whole", mode)
    for number in (1, 2, 3):
        upload.part(number, b"%d" % number * 10)
    assert upload.complete().status == 200
    assert send("GET", "/data/whole", "", key).body == b"1" * 10 + b"2" * 10 + b"3" * 10
    (version,) = rows(world)["whole"]
    each = len(version.place) // 3
    one, two, three = (version.place[n * each : (n + 1) * each] for n in range(3))
    a, b, c = version.parts
    for parts, place in (
        ((a, b), one + two),
        ((b, a, c), two + one + three),
        ((a, b, replace(c, number=4)), version.place),
        ((a, b, c, c), version.place + three),
    ):
        size = sum(part.size for part in parts)
        change(world, "whole", parts=parts, place=place, stored=len(place), size=size)
        answer = world.send("GET", "/data/whole", "", key, tls=True)
        assert (answer.status, answer.code) == (500, "XMinioObjectTampered")


@pytest.mark.parametrize("mode", SEALED)
def test_size_type_and_metadata_are_authenticated(world, send, mode):
    """Sse.md 18 row 15: they lie in clear, but cannot be changed unnoticed."""
    key = to_read(mode)
    send("PUT", "/data/meta", "", {**SEALED[mode], "x-amz-meta-a": "b", "content-type": "text/x"}, b"hello")
    (version,) = rows(world)["meta"]
    meta = unpack_meta(version.meta)
    for changes in (
        {"size": 4},
        {"meta": pack_meta(structs.replace(meta, user={"x-amz-meta-a": "c"}))},
        {"meta": pack_meta(structs.replace(meta, user={}))},
        {"meta": pack_meta(structs.replace(meta, headers={"content-type": "text/y"}))},
    ):
        change(world, "meta", **{"size": version.size, "meta": version.meta, **changes})
        answer = world.send("GET", "/data/meta", "", key, tls=True)
        assert (answer.status, answer.code) == (500, "XMinioObjectTampered")
    change(world, "meta", size=version.size, meta=version.meta)
    assert send("GET", "/data/meta", "", key).body == b"hello"


@pytest.mark.parametrize("mode", SEALED)
def test_an_object_stays_where_it_was_written(world, send, mode):
    """Sse.md 18 rows 16 and 17: neither a context that says the bucket's name itself nor cleaning a path sets one free.

    `twin/` and `twin` have the same path once it is clean; `x` is another object of the bucket.
    """
    key = to_read(mode)
    context = base64.b64encode(json.dumps({"data": "anything"}).encode()).decode()
    headers = {**SEALED[mode], **({f"{METHOD}-context": context} if "KMS" in mode else {})}
    for name in ("twin", "twin/", "x"):
        send("PUT", f"/data/{name}", "", headers, name.encode())
        assert send("GET", f"/data/{name}", "", key).body == name.encode()
    kept = {name: rows(world)[name][0] for name in ("twin", "twin/", "x")}
    for there, other in (("twin", "twin/"), ("twin/", "twin"), ("x", "twin"), ("twin", "x")):
        rows(world)[there] = [replace(kept[other], key=there)]
        answer = world.send("GET", f"/data/{there}", "", key, tls=True)
        assert answer.status in (400, 403, 500)
        assert other.encode() != answer.body
        rows(world)[there] = [kept[there]]


@pytest.mark.parametrize("key", ["a//b", "a/./b", "a/../b", "./a"])
def test_names_that_cleaning_would_change_are_none(world, key):
    """Sse.md 18 row 17: no two names share a binding, but for a slash at the end (above)."""
    assert world.send("PUT", f"/data/{key}", "", SEALED["SSE-S3"], b"x").status == 400


def test_a_key_that_serves_one_bucket_opens_no_other(world, send):
    """Sse.md 18 row 21: SSE-S3 has one key, but no data key of one bucket is of use in another."""
    send("PUT", "/another")
    entry = "X-Minio-Internal-Server-Side-Encryption-S3-Kms-Sealed-Key"
    for bucket in ("data", "another"):
        send("PUT", f"/{bucket}/same", "", SEALED["SSE-S3"], b"hello")
    one, two = (rows(world, bucket)["same"][0] for bucket in ("data", "another"))
    assert unpack_meta(one.meta).seal[entry] != unpack_meta(two.meta).seal[entry]
    change(world, "same", meta=two.meta, place=two.place, etag=two.etag)
    assert world.send("GET", "/data/same").status in (400, 403, 500)


@pytest.mark.parametrize("mode", SEALED)
def test_damage_is_no_success(world, send, mode):
    """Sse.md 18 row 19: the original answers 206 where a stored size is impossible."""
    key = to_read(mode)
    send("PUT", "/data/damaged", "", SEALED[mode], b"hello")
    (version,) = rows(world)["damaged"]
    for place in (version.place[:20], version.place[:-1], version.place + b"x", bytes(len(version.place))):
        change(world, "damaged", place=place, stored=len(place))
        for method in ("GET", "HEAD"):
            answer = world.send(method, "/data/damaged", "", key, tls=True)
            assert (answer.status, answer.code) == (500, "XMinioObjectTampered") or method == "HEAD"
            assert answer.status != 206
