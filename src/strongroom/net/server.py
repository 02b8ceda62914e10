"""A listener: accepts connections, keeps their time limits, stops gracefully."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from ..messages import Handler, Response
from .accepting import Acceptor
from .channel import TlsContext
from .connection import Connection
from .limits import Limits
from .shared import Shared
from .transfer import THREADS, Pool

__all__ = ["Limits", "Server", "TlsContext", "listen", "plain_refusal"]


def plain_refusal(status: int, message: str) -> Response:
    """Render what net answers itself, for a box that has no form of its own."""
    return Response(status, (("Content-Type", "text/plain; charset=utf-8"),), message.encode() + b"\n")


class Server:
    """A running listener. host and port: where it listens, the port that the system chose included."""

    def __init__(self, shared: Shared, server: "asyncio.Server | Acceptor") -> None:
        self._shared = shared
        self._server = server
        self.host, self.port = server.sockets[0].getsockname()[:2]
        self._ticker = asyncio.create_task(self._tick())

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._shared.connections)

    @property
    def tls(self) -> TlsContext | None:
        """The TLS of new connections; `reload` and `replace` change it."""
        return self._shared.tls

    async def stop(self, grace_seconds: float = 5.0) -> None:
        """Accept no more, finish the requests that run, cut what is left after grace_seconds."""
        shared = self._shared
        shared.stopping = True
        self._server.close()
        for connection in list(shared.connections):
            connection.stop()
        await self._drained(grace_seconds)
        for connection in list(shared.connections):
            connection.cut()
        for task in list(shared.running):
            task.cancel()
        await self._drained(1.0)
        self._ticker.cancel()
        shared.pool.stop()

    async def _drained(self, seconds: float) -> None:
        """Wait, for some seconds at most, until all connections and all handlers have ended."""
        shared = self._shared
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if shared.connections:
                    await shared.empty.wait()
                while shared.running:
                    await asyncio.wait(shared.running)

    async def _tick(self) -> None:
        shared = self._shared
        limits = shared.limits
        times = (limits.head_seconds, limits.idle_seconds, limits.body_stall_seconds, limits.send_stall_seconds)
        pause = min(1.0, max(0.02, min(*times, limits.linger_seconds) / 4))
        while True:
            await asyncio.sleep(pause)
            shared.now = now = shared.loop.time()
            for connection in list(shared.connections):
                connection.check(now)


async def listen(
    handler: Handler,
    host: str,
    port: int,
    *,
    tls: TlsContext | None = None,
    limits: Limits | None = None,
    verbs: frozenset[str] = frozenset(),
    refuse: Callable[[int, str], Response] = plain_refusal,
    threads: int = THREADS,
    reuse_port: bool = False,
    sock: "socket.socket | None" = None,
) -> Server:
    """Start to serve handler and return the running server. Raises OSError when the address cannot be used.

    tls      TLS of the connections; None for plain HTTP
    verbs    methods besides GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH and TRACE that reach the handler; any other
             is refused with 405, so that no foreign word reaches metrics and audit lines
    refuse   renders net's own refusals in the box's form: 400, 405, 408, 413, 417, 431, 500, 501, 505
    threads  that may own a connection's socket at the same time, for large bodies
    sock     accept from this listening socket, which other processes may share, instead of host and port
    """
    loop = asyncio.get_running_loop()
    shared = Shared(handler, limits or Limits(), verbs, refuse, tls, Pool(threads), loop)
    shared.now = loop.time()
    if sock is not None:
        return Server(shared, Acceptor(lambda: Connection(shared), sock, loop))
    server = await loop.create_server(
        lambda: Connection(shared), host or None, port, backlog=1024, reuse_port=reuse_port or None
    )
    return Server(shared, server)
