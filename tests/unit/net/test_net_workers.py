"""Workers share a socket, come back when they die, and end together."""

import asyncio
import os
import signal
import sys

import pytest

from strongroom.errors import BadSettings
from strongroom.net.client import HttpClient
from strongroom.net.run import Signals
from strongroom.net.workers import VARIABLE, Workers, inherited_socket, listening_socket

WORKER = """
import os
from strongroom.messages import Response
from strongroom.net.run import run
from strongroom.net.server import listen
from strongroom.net.workers import inherited_socket
async def main(signals):
    server = await listen(lambda *_: Response(200, (), str(os.getpid()).encode(), close=True), "", 0,
                          sock=inherited_socket())
    await signals.stopped.wait()
    await server.stop(1)
    return 0
raise SystemExit(run(main))
"""


async def test_workers_share_come_back_and_end():
    sock = listening_socket("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
    workers, signals = Workers(lambda number: [sys.executable, "-c", WORKER], 2, sock), Signals()
    running = asyncio.create_task(workers.run(signals))

    async def seen(client, wanted):
        found = set()
        for _ in range(1000):
            found.add(int((await client.request("GET", url)).body))
            if len(found) == wanted:
                break
            await asyncio.sleep(0.005)
        return found

    async with HttpClient(timeout=20) as client:
        first = await seen(client, 2)
        assert len(first) == 2
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        assert len(await seen(client, 3)) >= 1
        await asyncio.sleep(0.5)
        again = await seen(client, 2)
        assert len(again) == 2
        assert victim not in again
    signals.stopped.set()
    assert await asyncio.wait_for(running, 10) == 0
    sock.close()


def test_no_socket_inherited(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert inherited_socket() is None
    monkeypatch.setenv(VARIABLE, "99999")
    with pytest.raises(BadSettings):
        inherited_socket()
    assert VARIABLE not in os.environ


def test_all_addresses():
    sock = listening_socket("", 0)
    assert sock.getsockname()[1] > 0
    sock.close()
