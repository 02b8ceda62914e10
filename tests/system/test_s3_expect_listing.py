"""What conformance suites expect of listings, multipart uploads and bulk deletes (s3.md 5, 6, 9, 11)."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from raw_s3 import call

MIB = 1024 * 1024


def fill(lone, bucket, names):
    for name in names:
        lone.put_object(Bucket=bucket, Key=name, Body=b"")


def keys(page):
    return [one["Key"] for one in page.get("Contents", [])]


def prefixes(page):
    return [one["Prefix"] for one in page.get("CommonPrefixes", [])]


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize(
    ("arguments", "wanted_keys", "wanted_prefixes"),
    [
        ({"Delimiter": "/"}, ["asdf"], ["boo/", "cquux/"]),
        ({"Delimiter": "/", "Prefix": "boo/"}, ["boo/bar"], ["boo/baz/"]),
        ({"Delimiter": "a"}, ["cquux/thud"], ["a", "boo/ba", "cquux/tha"]),
        ({"Delimiter": "%"}, ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thad", "cquux/thud"], []),
        ({"Delimiter": "\n"}, ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thad", "cquux/thud"], []),
        ({"Delimiter": ""}, ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thad", "cquux/thud"], []),
        ({"Prefix": "cquux/th"}, ["cquux/thad", "cquux/thud"], []),
        ({"Prefix": "\n"}, [], []),
        ({"Prefix": ""}, ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thad", "cquux/thud"], []),
        ({"Prefix": "nothing"}, [], []),
        ({"MaxKeys": 0}, [], []),
        ({"Delimiter": "z/x"}, ["asdf", "boo/bar", "cquux/thad", "cquux/thud"], ["boo/baz/x"]),
    ],
)
def test_prefixes_and_delimiters(lone, fresh, operation, arguments, wanted_keys, wanted_prefixes):
    fill(lone, fresh, ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thad", "cquux/thud"])
    page = getattr(lone, operation)(Bucket=fresh, **arguments)
    assert (keys(page), prefixes(page)) == (wanted_keys, wanted_prefixes)
    assert page["IsTruncated"] is False


@pytest.mark.parametrize("value", ["blah", "-1"])
@pytest.mark.parametrize("query", ["", "list-type=2&", "versions&"])
def test_bad_limits(lone_server, fresh, value, query):
    answer = call(lone_server.port, "GET", f"/{fresh}", query=f"{query}max-keys={value}")
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_first_form_has_a_next_marker_only_with_a_delimiter(lone, fresh):
    fill(lone, fresh, ["a", "b/1", "b/2", "c"])
    page = lone.list_objects(Bucket=fresh, MaxKeys=2)
    assert page["IsTruncated"]
    assert "NextMarker" not in page
    page = lone.list_objects(Bucket=fresh, MaxKeys=2, Delimiter="/")
    assert page["NextMarker"] == "b/"
    page = lone.list_objects(Bucket=fresh, MaxKeys=2, Delimiter="/", Marker="b/")
    assert (keys(page), prefixes(page), page["IsTruncated"]) == (["c"], [], False)
    assert (page["Marker"], page["MaxKeys"]) == ("b/", 2)


@pytest.mark.parametrize(("marker", "found"), [("", ["a", "b", "c"]), ("aa", ["b", "c"]), ("b", ["c"]), ("zzz", [])])
def test_markers_need_not_exist(lone, fresh, marker, found):
    fill(lone, fresh, ["a", "b", "c"])
    assert keys(lone.list_objects(Bucket=fresh, Marker=marker)) == found
    assert keys(lone.list_objects_v2(Bucket=fresh, StartAfter=marker)) == found


def test_second_form_counts_and_continues(lone, fresh, refused):
    fill(lone, fresh, ["a", "b/1", "b/2", "c", "d"])
    page = lone.list_objects_v2(Bucket=fresh, MaxKeys=2, Delimiter="/", StartAfter="0")
    assert (keys(page), prefixes(page), page["KeyCount"]) == (["a"], ["b/"], 2)
    token = page["NextContinuationToken"]
    page = lone.list_objects_v2(Bucket=fresh, Delimiter="/", ContinuationToken=token, StartAfter="z")
    assert keys(page) == ["c", "d"]
    assert (page["ContinuationToken"], page["StartAfter"], page["KeyCount"]) == (token, "z", 2)
    assert "Owner" not in page["Contents"][0]
    assert "Owner" in lone.list_objects_v2(Bucket=fresh, FetchOwner=True)["Contents"][0]
    assert refused(lone.list_objects_v2, Bucket=fresh, ContinuationToken="!!")[0] == 400


def test_a_thousand_and_one_keys_need_two_pages(lone, fresh):
    names = [f"k{number:05}" for number in range(1001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: lone.put_object(Bucket=fresh, Key=name, Body=b""), names))
    page = lone.list_objects_v2(Bucket=fresh, MaxKeys=5000)
    assert (len(page["Contents"]), page["IsTruncated"]) == (1000, True)
    pages = lone.get_paginator("list_objects").paginate(Bucket=fresh)
    assert [name for page in pages for name in keys(page)] == names
    doomed = {"Objects": [{"Key": name} for name in names[:1000]], "Quiet": True}
    assert "Deleted" not in lone.delete_objects(Bucket=fresh, Delete=doomed)
    assert keys(lone.list_objects(Bucket=fresh)) == names[1000:]


def test_unversioned_objects_are_listed_as_null_versions(lone, fresh):
    fill(lone, fresh, ["a", "b"])
    found = lone.list_object_versions(Bucket=fresh)["Versions"]
    assert [(one["Key"], one["VersionId"], one["IsLatest"]) for one in found] == [
        ("a", "null", True),
        ("b", "null", True),
    ]


def test_the_same_versions_deleted_by_five_all_report_deleted(lone, fresh):
    lone.put_bucket_versioning(Bucket=fresh, VersioningConfiguration={"Status": "Enabled"})
    ids = [lone.put_object(Bucket=fresh, Key="k", Body=b"%d" % number)["VersionId"] for number in range(5)]
    doomed = {"Objects": [{"Key": "k", "VersionId": one} for one in ids]}
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(lone.delete_objects(Bucket=fresh, Delete=doomed)))
               for _ in range(5)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(answer["Deleted"]) for answer in answers] == [5] * 5
    assert "Versions" not in lone.list_object_versions(Bucket=fresh)


def test_a_bucket_with_a_version_is_not_empty(lone, fresh, refused):
    lone.put_bucket_versioning(Bucket=fresh, VersioningConfiguration={"Status": "Enabled"})
    marker = lone.delete_object(Bucket=fresh, Key="k")["VersionId"]
    assert refused(lone.delete_bucket, Bucket=fresh) == (409, "BucketNotEmpty")
    lone.delete_object(Bucket=fresh, Key="k", VersionId=marker)
    lone.delete_bucket(Bucket=fresh)


# ---- multipart


def uploaded(lone, bucket, key, sizes, **options):
    """Upload parts of these sizes; return the upload's id, its list of parts and the bytes."""
    upload = lone.create_multipart_upload(Bucket=bucket, Key=key, **options)["UploadId"]
    parts, whole = [], b""
    for number, size in enumerate(sizes, 1):
        data = bytes([number]) * size
        answer = lone.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=data)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        whole += data
    return upload, parts, whole


def completed(lone, bucket, key, upload, parts, **options):
    return lone.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **options
    )


def test_the_etag_of_parts(lone, fresh):
    upload, parts, whole = uploaded(lone, fresh, "m", [5 * MIB, 3])
    md5 = hashlib.md5(b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in parts), usedforsecurity=False)
    answer = completed(lone, fresh, "m", upload, parts)
    assert answer["ETag"] == f'"{md5.hexdigest()}-2"'
    assert lone.get_object(Bucket=fresh, Key="m")["Body"].read() == whole
    again = completed(lone, fresh, "m", upload, parts)
    assert again["ETag"] == answer["ETag"]


def test_reading_by_part_number(lone, fresh, refused):
    where = {"Bucket": fresh, "Key": "m"}
    upload, parts, whole = uploaded(lone, fresh, "m", [5 * MIB, 3])
    assert refused(lone.get_object, **where, PartNumber=1)[0] == 404
    etag = completed(lone, fresh, "m", upload, parts)["ETag"]
    second = lone.get_object(**where, PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"], second["ETag"]) == (whole[-3:], 2, etag)
    assert second["ContentRange"] == f"bytes {5 * MIB}-{5 * MIB + 2}/{5 * MIB + 3}"
    assert lone.head_object(**where, PartNumber=1)["ContentLength"] == 5 * MIB
    assert refused(lone.get_object, **where, PartNumber=3) == (416, "InvalidPartNumber")
    assert refused(lone.get_object, **where, PartNumber=1, Range="bytes=0-1") == (400, "InvalidRequest")


def test_lists_of_parts_that_cannot_be(lone, fresh, refused):
    upload, parts, _ = uploaded(lone, fresh, "m", [5 * MIB, 5 * MIB, 3])

    def tried(some, upload=upload):
        where = {"Bucket": fresh, "Key": "m", "UploadId": upload}
        return refused(lone.complete_multipart_upload, **where, MultipartUpload={"Parts": some})

    assert tried([]) == (400, "MalformedXML")
    assert tried([], "nothing") == (404, "NoSuchUpload")
    assert tried(parts[::-1]) == (400, "InvalidPartOrder")
    assert tried([{**parts[0], "PartNumber": 4}]) == (400, "InvalidPart")
    assert tried([{**parts[0], "ETag": '"0123456789abcdef0123456789abcdef"'}]) == (400, "InvalidPart")
    upload, small, _ = uploaded(lone, fresh, "s", [10, 10])
    where = {"Bucket": fresh, "Key": "s", "UploadId": upload}
    assert refused(lone.complete_multipart_upload, **where, MultipartUpload={"Parts": small}) == (400, "EntityTooSmall")
    assert refused(lone.upload_part, **where, PartNumber=10001, Body=b"")[0] == 400
    assert refused(lone.upload_part, **where, PartNumber=0, Body=b"")[0] == 400


def test_parts_sent_again_and_parts_left_out(lone, fresh):
    upload, parts, whole = uploaded(lone, fresh, "m", [5 * MIB, 5 * MIB, 7])
    again = lone.upload_part(Bucket=fresh, Key="m", UploadId=upload, PartNumber=3, Body=b"again")
    completed(lone, fresh, "m", upload, [parts[0], {"PartNumber": 3, "ETag": again["ETag"].strip('"')}])
    assert lone.get_object(Bucket=fresh, Key="m")["Body"].read() == whole[: 5 * MIB] + b"again"
    assert "Uploads" not in lone.list_multipart_uploads(Bucket=fresh)


@pytest.mark.parametrize(
    "text", ["0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=hello-", "bytes=0-2,3-5"]
)
def test_copy_ranges_of_the_wrong_form(lone, fresh, refused, text):
    fill(lone, fresh, ["k"])
    upload = lone.create_multipart_upload(Bucket=fresh, Key="m")["UploadId"]
    where = {"Bucket": fresh, "Key": "m", "UploadId": upload, "PartNumber": 1, "CopySource": f"{fresh}/k"}
    assert refused(lone.upload_part_copy, **where, CopySourceRange=text) == (400, "InvalidArgument")


def test_copy_ranges_beyond_the_source(lone, fresh, refused):
    lone.put_object(Bucket=fresh, Key="k", Body=b"12345")
    upload = lone.create_multipart_upload(Bucket=fresh, Key="m")["UploadId"]
    where = {"Bucket": fresh, "Key": "m", "UploadId": upload, "PartNumber": 1, "CopySource": f"{fresh}/k"}
    status, code = refused(lone.upload_part_copy, **where, CopySourceRange="bytes=0-21")
    assert (status, code) in [(400, "InvalidArgument"), (416, "InvalidRange")]


@pytest.mark.parametrize("kind", ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"])
def test_checksums_of_parts_become_one(lone, fresh, kind):
    """The kinds' default types: composite with a count, CRC64NVME of the whole object."""
    upload = lone.create_multipart_upload(Bucket=fresh, Key="m", ChecksumAlgorithm=kind)["UploadId"]
    parts = []
    for number, data in enumerate((b"a" * 5 * MIB, b"b"), 1):
        answer = lone.upload_part(
            Bucket=fresh, Key="m", UploadId=upload, PartNumber=number, Body=data, ChecksumAlgorithm=kind
        )
        name = f"Checksum{kind}"
        parts.append({"PartNumber": number, "ETag": answer["ETag"], name: answer[name]})
    answer = completed(lone, fresh, "m", upload, parts)
    composite = kind != "CRC64NVME"
    assert answer["ChecksumType"] == ("COMPOSITE" if composite else "FULL_OBJECT")
    assert answer[name].endswith("-2") is composite
    head = lone.head_object(Bucket=fresh, Key="m", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (answer[name], answer["ChecksumType"])
    found = lone.get_object_attributes(Bucket=fresh, Key="m", ObjectAttributes=["Checksum", "ObjectParts"])
    assert found["Checksum"][name].split("-")[0] == answer[name].split("-")[0]
    assert found["ObjectParts"]["TotalPartsCount"] == 2
    if not composite:
        whole = lone.put_object(Bucket=fresh, Key="w", Body=b"a" * 5 * MIB + b"b", ChecksumAlgorithm=kind)
        assert whole[name] == answer[name]


def test_uploads_are_listed_by_key_and_in_pages(lone, fresh):
    made = [(key, lone.create_multipart_upload(Bucket=fresh, Key=key)["UploadId"]) for key in ("b", "a/1", "a/2", "b")]
    found = lone.list_multipart_uploads(Bucket=fresh)["Uploads"]
    wanted = sorted(made, key=lambda one: (one[0], made.index(one)))
    assert [(one["Key"], one["UploadId"]) for one in found] == wanted
    page = lone.list_multipart_uploads(Bucket=fresh, Delimiter="/")
    assert (prefixes(page), len(page["Uploads"])) == (["a/"], 2)
    page = lone.list_multipart_uploads(Bucket=fresh, MaxUploads=3)
    assert page["IsTruncated"]
    rest = lone.list_multipart_uploads(
        Bucket=fresh, KeyMarker=page["NextKeyMarker"], UploadIdMarker=page["NextUploadIdMarker"]
    )
    assert [one["UploadId"] for one in page["Uploads"] + rest["Uploads"]] == [one[1] for one in wanted]


def test_aborting(lone, fresh, refused):
    upload, _, _ = uploaded(lone, fresh, "m", [10])
    where = {"Bucket": fresh, "Key": "m", "UploadId": upload}
    lone.abort_multipart_upload(**where)
    assert refused(lone.abort_multipart_upload, **where) == (404, "NoSuchUpload")
    assert refused(lone.upload_part, **where, PartNumber=1, Body=b"") == (404, "NoSuchUpload")
    lone.create_multipart_upload(Bucket=fresh, Key="m")
    lone.delete_bucket(Bucket=fresh)  # uploads do not keep a bucket


def test_readers_see_the_old_object_until_the_new_is_whole(lone, fresh):
    """Overwriting under load: each read is all of one version."""
    bodies = [bytes([letter]) * 3 * MIB for letter in b"AB"]
    lone.put_object(Bucket=fresh, Key="k", Body=bodies[0])
    done = threading.Event()

    def write():
        for number in range(6):
            lone.put_object(Bucket=fresh, Key="k", Body=bodies[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert lone.get_object(Bucket=fresh, Key="k")["Body"].read() in bodies
    writer.join()
