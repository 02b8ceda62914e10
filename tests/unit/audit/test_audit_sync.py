"""A disk that does not take what was written: an audit log that must be whole takes no more lines meanwhile."""

import errno
import time
from pathlib import Path

import pytest

from strongroom.audit.chain import verify
from strongroom.audit.log import AuditLog, FileSink
from strongroom.errors import Unavailable


class Failing(FileSink):
    """A file whose sync fails while `broken`."""

    broken = False

    def sync(self) -> None:
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        super().sync()


def _until(log: AuditLog, unsynced: bool) -> None:
    for _ in range(500):
        if bool(log._unsynced) is unsynced:
            return
        time.sleep(0.01)
    raise AssertionError("nothing has changed")


@pytest.mark.parametrize("refuse", [True, False])
def test_lines_are_refused_while_they_cannot_be_made_durable(tmp_path: Path, refuse: bool) -> None:
    told: list[str] = []
    sink = Failing(tmp_path / "log")
    log = AuditLog(sink, refuse_when_full=refuse, warn=told.append)
    sink.broken = True
    log.add('{"n":1')
    _until(log, True)
    if refuse:
        with pytest.raises(Unavailable, match="not on the disk"):
            log.add('{"n":2')
        assert log.failing
    else:
        log.add('{"n":2')
    sink.broken = False
    _until(log, False)
    log.add('{"n":3')
    assert not log.failing
    log.close()
    assert len(told) == 1
    lines = (tmp_path / "log").read_bytes().splitlines()
    assert verify(lines).lines == (2 if refuse else 3)


def test_an_end_on_a_broken_disk_is_an_end(tmp_path: Path) -> None:
    told: list[str] = []
    sink = Failing(tmp_path / "log")
    log = AuditLog(sink, warn=told.append)
    log.add('{"n":1')
    sink.broken = True
    log.close()
    assert any("Input/output error" in one for one in told)
