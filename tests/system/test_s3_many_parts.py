"""The most parts that an object may have, in SSE-S3: completed, read whole, by range and by part number, copied."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import raw_s3
from raw_s3 import Wire
from system.test_s3_boto3 import AUTO, Served

from strongroom.config.environment import RootCredentials
from strongroom.crypto.secret import Secret
from strongroom.s3 import app
from strongroom.s3.handlers import call as calls

PARTS = 10_000


@pytest.fixture
def port(tmp_path, monkeypatch):
    """A server that takes small parts: 10,000 of the usual size would be 50 GiB."""
    small = calls.BoxSettings
    monkeypatch.setattr(app, "BoxSettings", lambda *words, **settings: small(*words, **settings, min_part=1))
    root = RootCredentials(raw_s3.USER, Secret(raw_s3.SECRET.encode()))
    served = Served(app.Settings(root, tmp_path / "data", "127.0.0.1", 0, kms=AUTO))
    yield served.running.port
    served.stop()


def content(number):
    return b"%06d" % number * (number % 3 + 1)


def test_ten_thousand_parts_become_one_object(port):
    assert raw_s3.call(port, "PUT", "/parts").status == 200
    upload = re.search(rb"<UploadId>(.*?)<", raw_s3.call(port, "POST", "/parts/k", query="uploads").body)[1].decode()

    def send(first):
        found = []
        with Wire(port) as wire:
            for number in range(first, PARTS + 1, 4):
                query = f"partNumber={number}&uploadId={upload}"
                answer = wire.call("PUT", "/parts/k", query=query, body=content(number))
                assert answer.status == 200
                found.append((number, answer.headers["etag"]))
        return found

    with ThreadPoolExecutor(4) as pool:
        done = sorted(pair for found in pool.map(send, range(1, 5)) for pair in found)
    rows = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in done)
    body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    answer = raw_s3.call(port, "POST", "/parts/k", query=f"uploadId={upload}", body=body)
    assert answer.status == 200, answer.body
    assert b"-10000" in answer.body
    whole = b"".join(content(number) for number in range(1, PARTS + 1))
    assert raw_s3.call(port, "GET", "/parts/k").body == whole
    for start, stop in ((0, 1), (59_000, 61_000), (len(whole) - 100, len(whole)), (1, len(whole) - 1)):
        got = raw_s3.call(port, "GET", "/parts/k", {"range": f"bytes={start}-{stop - 1}"})
        assert (got.status, got.body) == (206, whole[start:stop])
    for number in (1, 2, 5_000, PARTS):
        got = raw_s3.call(port, "GET", "/parts/k", query=f"partNumber={number}")
        assert (got.body, got.headers["x-amz-mp-parts-count"]) == (content(number), str(PARTS))
    assert raw_s3.call(port, "GET", "/parts/k", query=f"partNumber={PARTS + 1}").status == 400
    assert raw_s3.call(port, "PUT", "/parts/copy", {"x-amz-copy-source": "/parts/k"}).status == 200
    assert raw_s3.call(port, "GET", "/parts/copy").body == whole
    assert raw_s3.call(port, "DELETE", "/parts/k").status == 204
