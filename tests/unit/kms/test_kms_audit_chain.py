"""The chain beside an audit file proves what was written, over restarts, rotations and crashes."""

import errno
import json
import os

import pytest
from kms_replay import ask, unsealed

from strongroom.errors import Tampered
from strongroom.kms.outside.chain import Chain, verify
from strongroom.kms.outside.sinks import FileSink

KEY = b"k" * 32


def sink(tmp_path):
    return FileSink(tmp_path / "audit.log", 0o600, KEY)


def test_lines_are_proven_over_restarts(tmp_path):
    for _ in range(3):
        made = sink(tmp_path)
        for number in range(4):
            made.write(b'{"n":%d}\n' % number)
            if number % 2:
                made.seal()
        made.close()
    log = tmp_path / "audit.log"
    assert verify(log, KEY) == (log.stat().st_size, 0)
    assert (tmp_path / "audit.log.chain").stat().st_mode & 0o777 == 0o600


def test_what_a_crash_left_is_taken_up(tmp_path):
    made = sink(tmp_path)
    made.write(b"one\n")
    made.seal()
    made.write(b"two\n")  # never sealed: the process is gone
    chain = tmp_path / "audit.log.chain"
    chain.write_bytes(chain.read_bytes() + b'{"bytes": 1')
    again = sink(tmp_path)
    again.write(b"three\n")
    again.close()
    log = tmp_path / "audit.log"
    assert verify(log, KEY) == (log.stat().st_size, 0)
    assert len(chain.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("change", ["flip", "cut", "insert", "drop"])
def test_changes_are_found(tmp_path, change):
    made = sink(tmp_path)
    for number in range(5):
        made.write(b"line %d\n" % number)
        made.seal()
    made.close()
    log = tmp_path / "audit.log"
    data = log.read_bytes()
    changed = {"flip": data.replace(b"line 2", b"line X"), "cut": data[:-7], "insert": b"line 9\n" + data}
    log.write_bytes(changed.get(change, data.replace(b"line 2\n", b"")))
    with pytest.raises(Tampered):
        verify(log, KEY)


def test_a_forged_chain_is_found(tmp_path):
    made = sink(tmp_path)
    made.write(b"line\n")
    made.close()
    other = tmp_path / "other"
    other.mkdir()
    forged = FileSink(other / "audit.log", 0o600, b"x" * 32)
    forged.write(b"lies\n")
    forged.close()
    for name in ("audit.log", "audit.log.chain"):
        (tmp_path / name).write_bytes((other / name).read_bytes())
    with pytest.raises(Tampered):
        verify(tmp_path / "audit.log", KEY)
    with pytest.raises(Tampered):
        Chain(tmp_path / "audit.log", KEY)


def test_rotation_begins_a_new_chain(tmp_path):
    made = sink(tmp_path)
    made.write(b"old\n")
    made.seal()
    for name in ("audit.log", "audit.log.chain"):
        (tmp_path / name).rename(tmp_path / name.replace("audit", "old"))
    made.reopen()
    made.write(b"new\n")
    made.close()
    assert verify(tmp_path / "audit.log", KEY) == (4, 0)
    assert verify(tmp_path / "old.log", KEY) == (4, 0)


async def test_the_route_tells(tmp_path):
    replay = await unsealed(tmp_path)
    log = tmp_path / "audit.log"
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(log)}})
    await ask(replay, "GET", "sys/mounts")
    replay.core.audit.seal()
    assert (await ask(replay, "GET", "sys/audit-verify/file"))["data"]["valid"] is True
    lines = log.read_bytes().splitlines(keepends=True)
    assert all(json.loads(line) for line in lines)
    log.write_bytes(b"".join(lines[1:]))
    found = (await ask(replay, "GET", "sys/audit-verify/file"))["data"]
    assert found["valid"] is False


class Full:
    """Takes half of one write and nothing of the next, as a disk that runs full; then there is room again."""

    def __init__(self, monkeypatch):
        self.halves, self.refusals, self._write = 0, 0, os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, descriptor, data):
        if self.halves:
            self.halves -= 1
            return self._write(descriptor, data[: len(data) // 2])
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(descriptor, data)


@pytest.mark.parametrize("what", ["line", "record"])
def test_a_full_disk_leaves_no_half_behind(tmp_path, monkeypatch, what):
    made, disk = sink(tmp_path), Full(monkeypatch)
    made.write(b"first\n")
    made.seal()
    disk.halves, disk.refusals = 1, 1
    if what == "line":
        with pytest.raises(OSError, match="No space"):
            made.write(b"lost line\n")
    else:
        disk.refusals = 0
        disk.halves = 0
        made.write(b"second\n")
        disk.halves = 1
        with pytest.raises(OSError, match="No space"):
            made.seal()
    made.write(b"third\n")
    made.close()
    log = tmp_path / "audit.log"
    assert b"lost" not in log.read_bytes()
    assert verify(log, KEY) == (log.stat().st_size, 0)


def test_a_line_in_two_pieces_is_whole(tmp_path, monkeypatch):
    made, disk = sink(tmp_path), Full(monkeypatch)
    disk.halves = 1
    made.write(b"a line in two pieces\n")
    made.close()
    log = tmp_path / "audit.log"
    assert log.read_bytes() == b"a line in two pieces\n"
    assert verify(log, KEY) == (log.stat().st_size, 0)


async def test_a_device_that_cannot_be_opened_anew_goes_on_and_keeps_no_other_from_it(tmp_path):
    replay = await unsealed(tmp_path)
    for name in ("a", "b"):
        options = {"file_path": str(tmp_path / name / "audit.log")}
        await ask(replay, "PUT", f"sys/audit/{name}", {"type": "file", "options": options})
    for name in ("a", "b"):
        (tmp_path / name).rename(tmp_path / f"{name}-old")
    (tmp_path / "b").mkdir()
    problems = replay.core.audit.reopen()
    assert [problem.split(" goes on")[0] for problem in problems] == ["audit device a/"]
    await ask(replay, "GET", "sys/mounts")
    assert b"sys/mounts" in (tmp_path / "a-old/audit.log").read_bytes()
    assert b"sys/mounts" in (tmp_path / "b/audit.log").read_bytes()
