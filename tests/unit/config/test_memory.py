"""Locking memory takes no memory, and an old kernel gets what it knows."""

import ctypes
import errno
import subprocess
import sys

import pytest

from strongroom.config import memory

PROBE = """
import threading, time
from strongroom.config.memory import lock_memory
def status(name):
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith(name))
before = status("VmRSS")
problem = lock_memory()
for _ in range(4):
    threading.Thread(target=time.sleep, args=(0.1,)).start()
print(problem or status("VmLck") > 0, status("VmRSS") - before)
"""


def test_what_is_locked_is_what_is_used():
    found = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=30).stdout
    locked, _, more = found.strip().rpartition(" ")
    if locked != "True":
        pytest.skip(f"this machine locks no memory: {locked}; run as root or with `ulimit -l unlimited`")
    assert int(more) < 8192


@pytest.mark.parametrize(
    ("answers", "problem"),
    [([0], ""), ([errno.EINVAL, 0], ""), ([errno.EINVAL, errno.ENOMEM], "Cannot allocate memory")],
)
def test_a_kernel_without_lock_on_fault_locks_all(monkeypatch, answers, problem):
    asked = []

    class Library:
        def mlockall(self, flags):
            asked.append(flags)
            number = answers[len(asked) - 1]
            ctypes.set_errno(number)
            return -1 if number else 0

    monkeypatch.setattr(memory.ctypes, "CDLL", lambda *args, **more: Library())
    monkeypatch.setattr(memory, "_may_lock", lambda: True)
    monkeypatch.setattr(memory.resource, "setrlimit", lambda *args: None)
    assert memory.lock_memory() == problem
    assert asked == [7, 3][: len(answers)]
