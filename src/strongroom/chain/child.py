"""Children of `strongroom up`: they end with it, whatever ends it."""

import ctypes
import os
import signal

PARENT = "STRONGROOM_PARENT"  # process id of the `up` that started this process
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies; end at once when it is dead already."""
    parent = os.environ.pop(PARENT, "")
    if not parent:
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        raise SystemExit(143)
