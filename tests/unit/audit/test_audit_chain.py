"""The audit chain (docs/formats/audit-log.md)."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.audit.chain import Chain, verify
from strongroom.audit.log import AuditLog, FileSink
from strongroom.errors import BadSettings, Tampered, Unavailable

KEY = b"k" * 32


def lines(count: int) -> list[bytes]:
    chain = Chain(key=KEY)
    made = []
    for number in range(count):
        members = chain.checkpoint("t") if number % 5 == 4 else f'{{"n":{number}'
        made.append(chain.line(members))
    return made


def test_what_was_written_verifies() -> None:
    found = verify(lines(12), KEY)
    assert (found.lines, found.checkpoints, found.sealed_lines) == (12, 2, 10)


@given(st.data())
def test_any_flipped_bit_is_found(data: st.DataObject) -> None:
    made = lines(7)
    place = data.draw(st.integers(0, 6))
    line = bytearray(made[place])
    at = data.draw(st.integers(0, len(line) - 2))
    line[at] ^= 1 << data.draw(st.integers(0, 7))
    made[place] = bytes(line)
    with pytest.raises(Tampered, match=r"line \d+"):
        verify(b"".join(made).splitlines(keepends=True), KEY)


@given(st.permutations(range(6)))
def test_any_other_order_is_found(order: list[int]) -> None:
    made = lines(6)
    if list(order) != sorted(order):
        with pytest.raises(Tampered):
            verify([made[place] for place in order], KEY)


def test_another_checkpoint_key_is_found() -> None:
    with pytest.raises(Tampered, match="line 5: the checkpoint"):
        verify(lines(6), b"x" * 32)


def test_a_log_goes_on_over_restarts_and_rotations(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    for start in range(3):
        log = AuditLog(FileSink(file, rotate_bytes=2000, keep=0), key=KEY)
        for number in range(10):
            log.add(f'{{"run":{start},"n":{number}')
        log.checkpoint("t")
        log.close()
    every = [*sorted(tmp_path.glob("audit.log.2*")), file]
    assert len(every) > 1
    assert verify([line for one in every for line in one.read_bytes().splitlines(keepends=True)], KEY).lines == 33
    assert oct(file.stat().st_mode & 0o777) == "0o600"


def test_old_files_are_removed(tmp_path: Path) -> None:
    log = AuditLog(FileSink(tmp_path / "a", rotate_bytes=300, keep=2))
    for number in range(30):
        log.add(f'{{"n":{number}')
    log.close()
    assert len(list(tmp_path.glob("a.2*"))) == 2


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "a"
    log = AuditLog(FileSink(file))
    log.add('{"n":1')
    log.close()
    with open(file, "ab") as torn:
        torn.write(b'{"n":2,"ch')
    log = AuditLog(FileSink(file))
    log.add('{"n":3')
    log.close()
    assert verify(file.read_bytes().splitlines(keepends=True)).lines == 2


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("something else\n")
    with pytest.raises(BadSettings):
        AuditLog(FileSink(tmp_path / "a"))


@pytest.mark.parametrize("text", ["a: 1\nb: 2", "no line at all", '{"x":1}\n{"y":2}', "\n" * 3 + "end"])
def test_a_foreign_file_without_a_last_newline_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_text(text)
    with pytest.raises(BadSettings):
        FileSink(tmp_path / "a")
    assert (tmp_path / "a").read_text() == text


def test_a_torn_first_line_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"time":"2026')
    AuditLog(FileSink(tmp_path / "a")).close()
    assert (tmp_path / "a").read_bytes() == b""


class Full:
    """A sink on a full disk."""

    def write(self, data: bytes) -> None:
        raise OSError(28, os.strerror(28))

    def sync(self) -> None:
        return

    def close(self) -> None:
        return


def test_a_full_disk_refuses_or_counts() -> None:
    said: list[str] = []
    log = AuditLog(Full(), refuse_when_full=True, warn=said.append)
    head = log.head
    with pytest.raises(Unavailable):
        log.add('{"n":1')
    assert (log.head, log.lost, said) == (head, 1, ["audit log: No space left on device"])
    log = AuditLog(Full(), refuse_when_full=False, warn=said.append)
    log.add('{"n":1')
    assert (log.lines, log.lost) == (0, 1)


class Filling(FileSink):
    """A file on a disk that is full for a while."""

    full = False

    def write(self, data: bytes) -> None:
        if self.full:
            raise OSError(28, os.strerror(28))
        super().write(data)


def test_lost_lines_leave_a_line(tmp_path: Path) -> None:
    sink = Filling(tmp_path / "a")
    log = AuditLog(sink, refuse_when_full=False, warn=lambda text: None)
    log.add('{"n":1')
    sink.full = True
    for number in range(3):
        log.add(f'{{"lost":{number}')
    sink.full = False
    log.add('{"n":2')
    log.close()
    written = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    assert verify(written).lines == 3
    assert written[1].startswith(b'{"event":"lost","lines":3,')


def test_subscribers_hear_every_line() -> None:
    log, heard = AuditLog(None), list[bytes]()
    end = log.subscribe(heard.append)
    log.add('{"n":1')
    end()
    log.add('{"n":2')
    assert len(heard) == 1
    assert not log.subscribed


# ---- the lines of one turn
def members(number: int) -> str:
    return f'{{"n":{number}'


class Counting(FileSink):
    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


def test_lines_of_a_turn_are_made_and_written_together_by_whoever_leaves_first(tmp_path: Path) -> None:
    sink = Counting(tmp_path / "a")
    log = AuditLog(sink)
    first, second = log.later(members, 1), log.later(members, 2)
    assert sink.writes == 0
    second()
    first()
    assert (sink.writes, log.lines) == (1, 2)
    third = log.later(members, 3)
    assert sink.writes == 1
    third()
    log.close()
    assert verify((tmp_path / "a").read_bytes().splitlines(keepends=True)).lines == 3


def test_lines_keep_their_order_when_one_is_written_at_once(tmp_path: Path) -> None:
    log = AuditLog(FileSink(tmp_path / "a"), key=KEY)
    log.later(members, 1)
    log.add(members(2))
    log.later(members, 3)
    log.checkpoint("2026-01-01T00:00:00Z")
    log.later(members, 4)
    log.close()
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    assert [b'"n":' in line for line in lines] == [True, True, True, False, True]
    assert verify(lines, KEY).lines == 5


def test_every_answer_of_a_turn_that_cannot_be_written_is_refused() -> None:
    log = AuditLog(Full(), refuse_when_full=True, warn=lambda text: None)
    leaves = [log.later(members, number) for number in range(3)]
    for leave in (*leaves, *leaves):
        with pytest.raises(Unavailable):
            leave()
    assert (log.lines, log.lost, log.failing) == (0, 3, True)


def test_answers_leave_when_lines_may_be_lost_and_the_gap_is_told(tmp_path: Path) -> None:
    sink = Filling(tmp_path / "a")
    log = AuditLog(sink, refuse_when_full=False, warn=lambda text: None)
    sink.full = True
    log.later(members, 1)
    log.later(members, 2)()
    assert (log.lost, log.failing) == (2, True)
    sink.full = False
    log.add(members(3))
    assert not log.failing
    log.close()
    written = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    assert written[0].startswith(b'{"event":"lost","lines":2,')
    assert verify(written).lines == 2


@pytest.mark.parametrize("bad", [lambda: 1 // 0, lambda: '{"n":"\udcff"'])
def test_nobody_leaves_when_a_line_cannot_be_made_and_the_chain_goes_on(tmp_path: Path, bad: Callable[[], str]) -> None:
    said: list[str] = []
    log = AuditLog(FileSink(tmp_path / "a"), warn=said.append)
    log.later(members, 1)()
    leaves = [log.later(members, 2), log.later(bad), log.later(members, 3)]
    for leave in leaves:
        with pytest.raises(Unavailable):
            leave()
    log.later(members, 4)()
    log.close()
    lines = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    assert verify(lines).lines == 2
    assert len(said) == 1


def test_answers_leave_without_a_line_that_cannot_be_made_where_lines_may_be_lost(tmp_path: Path) -> None:
    log = AuditLog(FileSink(tmp_path / "a"), refuse_when_full=False, warn=lambda text: None)
    log.later(members, 1)
    log.later(lambda: str(1 // 0))()
    log.later(members, 2)()
    log.close()
    written = (tmp_path / "a").read_bytes().splitlines(keepends=True)
    assert written[0].startswith(b'{"event":"lost","lines":2,')
    assert verify(written).lines == 2
