"""The chain beside an audit file proves what was written, over restarts, rotations and crashes."""

import json

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
