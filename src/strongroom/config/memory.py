"""Locks the process's memory, so that keys never reach swap, where the system allows it (settled.md, mlock)."""

import ctypes
import errno
import os
import resource

_CURRENT, _FUTURE, _ON_FAULT = 1, 2, 4  # <sys/mman.h>; MCL_ONFAULT since Linux 4.4
_IPC_LOCK = 1 << 14  # CAP_IPC_LOCK in the effective set


def _may_lock() -> bool:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY:
        return True
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            effective = next((line.split()[1] for line in status if line.startswith("CapEff:")), "0")
    except OSError:
        return False
    return bool(int(effective, 16) & _IPC_LOCK)


def lock_memory() -> str:
    """Lock what is and will be in memory; return why it was not done, "" when it was.

    Pages are locked when they are first touched: locked at once, every thread's whole stack and every library would
    be read into memory, some 60 MB that nothing uses. A page that was never touched holds no key.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if not _may_lock():
        return "neither CAP_IPC_LOCK nor an unlimited RLIMIT_MEMLOCK (`ulimit -l unlimited`): grant one"
    library = ctypes.CDLL(None, use_errno=True)
    if not library.mlockall(_CURRENT | _FUTURE | _ON_FAULT):
        return ""
    if ctypes.get_errno() == errno.EINVAL and not library.mlockall(_CURRENT | _FUTURE):  # an older kernel
        return ""
    return os.strerror(ctypes.get_errno())
