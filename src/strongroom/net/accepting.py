"""Accepts from a socket that several processes share: one connection at a time, so that they divide them.

uvloop's own listener takes all that wait in one go: with 16 new connections one worker got 16, the other none.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

from .shared import log

PAUSE_SECONDS: Final = 0.1  # when there are no descriptors left
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Makes a protocol for every connection that comes in on sock, until close()."""

    def __init__(
        self, protocol: Callable[[], asyncio.Protocol], sock: socket.socket, loop: asyncio.AbstractEventLoop
    ) -> None:
        sock.setblocking(False)
        self.sockets = (sock,)
        self._protocol = protocol
        self._sock = sock
        self._loop = loop
        self._joining: set[asyncio.Task[object]] = set()
        loop.add_reader(sock.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # a sibling was faster, or the peer has gone
        except OSError as error:
            if error.errno not in _SHORT:
                raise
            log.error("no connection can be accepted: %s", error.strerror)
            self._loop.remove_reader(self._sock.fileno())
            self._loop.call_later(PAUSE_SECONDS, self._resume)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._joining.add(task)
        task.add_done_callback(self._joined)

    def _joined(self, task: "asyncio.Task[object]") -> None:
        self._joining.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("a connection was lost at once: %s", error)

    def _resume(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more."""
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
