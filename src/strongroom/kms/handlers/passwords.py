"""Password hashes, computed in a few threads of their own with a short queue.

A hash takes some 40 ms and 16 MiB, and anybody may ask for one: other work of the server must not wait behind logins,
logins of one address not behind those of another, and a flood of them is refused instead of kept.
"""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from strongroom.kms.domain.errors import RateLimited

COST = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 1024 * 1024}  # 16 MiB, some 40 ms (RFC 7914)
THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))  # the event loop keeps a core
WAITING = 64  # hashes that may wait or run: some two seconds of work
OF_ONE = 16  # of them for one address


def scrypt(password: str, salt: bytes) -> bytes:
    """Return a password's hash, 32 bytes; this takes a while."""
    return hashlib.scrypt(password.encode(), salt=salt, dklen=32, **COST)


class Passwords:
    """The threads that hash passwords, and who waits for them."""

    def __init__(self, hasher: Callable[[str, bytes], bytes] = scrypt) -> None:
        self._hasher = hasher
        self._waiting: Counter[str] = Counter()
        self._pool: ThreadPoolExecutor | None = None

    async def hash(self, password: str, salt: bytes, path: str, address: str = "") -> bytes:
        """Return a password's hash; raise RateLimited when too many wait, in all or for one address.

        path names the request in the refusal. address: who asks; "" for one whose token a policy has let in.
        """
        if self._waiting.total() >= WAITING or (address and self._waiting[address] >= OF_ONE):
            raise RateLimited(f'request path "{path}": rate limit quota exceeded')
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="kms-password")
        self._waiting[address] += 1
        future = self._pool.submit(self._hasher, password, salt)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: self._done(loop, address))
        return await asyncio.wrap_future(future)

    def _done(self, loop: asyncio.AbstractEventLoop, address: str) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._leave, address)

    def _leave(self, address: str) -> None:
        self._waiting[address] -= 1
        if self._waiting[address] <= 0:
            del self._waiting[address]

    def close(self) -> None:
        """End the threads; what still waits is dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
