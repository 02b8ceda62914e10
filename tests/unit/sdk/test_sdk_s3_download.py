"""Downloads: what arrives is what the server's checksum says, whole or by ranges, also after an interruption."""

import base64
import threading

import pytest

from strongroom.errors import Incomplete, Tampered
from strongroom.sdk import s3_download
from strongroom.sdk.s3 import Head
from strongroom.sdk.s3_body import CHECKSUMS, Bytes, checksum
from strongroom.sdk.s3_download import Origin, download
from strongroom.sdk.s3_transfer import Plan

DATA = bytes(range(256)) * 40  # 10,240 bytes


class Answer:
    def __init__(self, data, headers):
        self.data, self.headers, self.length = data, headers, len(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read_into(self, view):
        piece, self.data = self.data[: len(view)], self.data[len(view) :]
        view[: len(piece)] = piece
        return len(piece)


class Server:
    """Stands for the client: one object, with the headers that describe it."""

    def __init__(self, data, headers):
        self.data, self.headers, self.asked, self.break_at, self.lock = data, headers, [], None, threading.Lock()

    def head(self, *_):
        return Head(len(self.data), "e", "", self.headers)

    def get(self, bucket, key, version_id, headers):
        sent = dict(headers)
        with self.lock:
            self.asked.append(sent.get("Range", ""))
        if self.break_at is not None and sent["Range"].startswith(f"bytes={self.break_at}-"):
            raise Incomplete("broken")
        if "Range" not in sent:
            return Answer(self.data, self.headers)
        start, _, end = sent["Range"].removeprefix("bytes=").partition("-")
        return Answer(self.data[int(start) : int(end) + 1], {})


def described(name, data=DATA):
    return {f"x-amz-checksum-{name.lower()}": base64.b64encode(checksum(name, Bytes(data))).decode()}


@pytest.fixture
def small_ranges(monkeypatch):
    monkeypatch.setattr(s3_download, "RANGED", 1000)
    monkeypatch.setattr(s3_download, "RANGE", 3000)
    monkeypatch.setattr(s3_download.time, "sleep", lambda seconds: None)


def fetch(server, path):
    download(Origin(server, "b", "k", len(server.data), "e"), path, Plan(parallel=2), lambda count: None)


@pytest.mark.parametrize("name", [*CHECKSUMS])
def test_a_whole_object_is_compared(name, tmp_path):
    fetch(Server(DATA, described(name)), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA
    with pytest.raises(Tampered):
        fetch(Server(DATA, described(name, DATA[1:])), tmp_path / "g")
    assert [file.name for file in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("name", [*CHECKSUMS])
def test_ranges_are_compared(name, tmp_path, small_ranges):
    fetch(Server(DATA, described(name)), tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == DATA
    with pytest.raises(Tampered):
        fetch(Server(DATA, described(name, DATA[1:])), tmp_path / "g")
    assert [file.name for file in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("name", ["CRC64NVME", "SHA256"])
def test_ranges_of_an_earlier_run_count(name, tmp_path, small_ranges):
    server = Server(DATA, described(name))
    server.break_at = 6000
    with pytest.raises(Incomplete):
        fetch(server, tmp_path / "f")
    server.break_at, server.asked = None, []
    fetch(server, tmp_path / "f")
    assert len(server.asked) < 4
    assert (tmp_path / "f").read_bytes() == DATA


def test_checksums_of_parts_say_nothing_about_the_whole(tmp_path, small_ranges):
    for headers in ({"x-amz-checksum-crc32": "AAAAAA==-2"}, {"x-amz-checksum-crc32": "AAAAAA==",
                    "x-amz-checksum-type": "COMPOSITE"}, {}):  # fmt: skip
        fetch(Server(DATA, headers), tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == DATA
