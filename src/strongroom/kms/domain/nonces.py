"""Random nonces from a pool: one system call for many.

A system call lets go of the interpreter's lock, and beside a busy committer thread getting it back took 200 µs a time.
The pool belongs to the event loop's thread; processes are spawned, never forked, so that no two have the same bytes.
Keys never come from here.
"""

import os

SIZE = 12  # bytes of a nonce of AES-GCM and ChaCha20-Poly1305
_BLOCK = 1024 * SIZE


class _Pool:
    def __init__(self) -> None:
        self._bytes, self._place, self._process = b"", 0, 0

    def take(self, count: int) -> bytes:
        """Return count random bytes that were never returned before."""
        end = self._place + count
        if end > len(self._bytes) or self._process != os.getpid():
            self._bytes, self._place, end = os.urandom(_BLOCK), 0, count
            self._process = os.getpid()
        taken = self._bytes[self._place : end]
        self._place = end
        return taken


nonce = _Pool().take
