"""Workers share a socket, come back when they die, and end together."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from strongroom.errors import BadSettings
from strongroom.messages import Response
from strongroom.net.client import HttpClient
from strongroom.net.run import Signals
from strongroom.net.server import listen
from strongroom.net.workers import PLACE, VARIABLE, Workers, inherited_socket, listening_socket, this_worker

WORKER = """
import os
from strongroom.messages import Response
from strongroom.net.run import run
from strongroom.net.server import listen
from strongroom.net.workers import this_worker
async def main(signals):
    worker = this_worker()
    server = await listen(lambda *_: Response(200, (), str(os.getpid()).encode(), close=True), "", 0,
                          sock=worker.sock)
    worker.ready()
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
    assert await asyncio.wait_for(workers.ready(), 20)

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


async def test_a_worker_that_cannot_start_ends_all():
    sock = listening_socket("127.0.0.1", 0)
    workers = Workers(lambda number: [sys.executable, "-c", "raise SystemExit(3)"], 2, sock)
    running = asyncio.create_task(workers.run(Signals()))
    assert not await asyncio.wait_for(workers.ready(), 20)
    assert await asyncio.wait_for(running, 20) == 1
    sock.close()


PARENT = """
import asyncio, sys
from strongroom.net.run import run
from strongroom.net.workers import Workers, listening_socket
async def main(signals):
    workers = Workers(lambda number: [sys.executable, "-c", sys.argv[1]], 2, listening_socket("127.0.0.1", 0))
    running = asyncio.create_task(workers.run(signals))
    await workers.ready()
    print(*[process.pid for process in workers._running.values()], flush=True)
    return await running
raise SystemExit(run(main))
"""


def test_workers_die_with_a_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT, WORKER], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.kill()
    parent.wait(10)
    end = time.monotonic() + 10
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.02)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_worker(monkeypatch):
    monkeypatch.delenv(PLACE, raising=False)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert this_worker() is None


async def test_an_ipv4_peer_of_a_socket_for_both_has_its_ipv4_address():
    sock = listening_socket("", 0)
    server = await listen(
        lambda request, _: Response(200, (), request.peer.address.encode(), close=True), "", 0, sock=sock
    )
    async with HttpClient(timeout=20) as client:
        assert (await client.request("GET", f"http://127.0.0.1:{server.port}/")).body == b"127.0.0.1"
    await server.stop(1)


LATE = """
import os, sys, time
time.sleep(0.5)  # still starting: SIGHUP would end it here
from strongroom.net.run import run
from strongroom.net.workers import this_worker
async def main(signals):
    worker = this_worker()
    worker.ready()
    signals.on_reload(lambda: print("reloaded", os.getpid(), file=sys.stderr, flush=True))
    await signals.stopped.wait()
    return 0
raise SystemExit(run(main))
"""


async def test_a_reload_waits_for_workers_that_only_start(capfd):
    sock = listening_socket("127.0.0.1", 0)
    workers, signals = Workers(lambda number: [sys.executable, "-c", LATE], 2, sock), Signals()
    running = asyncio.create_task(workers.run(signals))
    while len(workers._running) < 2:
        await asyncio.sleep(0.01)
    signals._hang_up()
    assert await asyncio.wait_for(workers.ready(), 20)
    said = ""
    for _ in range(500):
        said += capfd.readouterr().err
        if said.count("reloaded") == 2:
            break
        await asyncio.sleep(0.01)
    assert said.count("reloaded") == 2
    signals.stopped.set()
    assert await running == 0


def test_a_reload_before_there_is_a_hook_is_kept():
    signals, calls = Signals(), []
    signals._hang_up()
    signals.on_reload(lambda: calls.append(1))
    assert calls == [1]
    signals._hang_up()
    assert calls == [1, 1]
