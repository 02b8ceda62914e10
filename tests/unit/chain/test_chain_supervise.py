"""Supervision, with small children in place of the boxes."""

import asyncio
import os
import signal
import sys
import threading
import time

import pytest

from strongroom.chain.supervise import Child, Supervisor, inherited
from strongroom.errors import Error

SERVE = "import os,sys,time; open(sys.argv[1],'a').write(f'{os.getpid()}\\n'); time.sleep(60)"
STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"

RELOADED = (
    "import signal,time; signal.signal(signal.SIGHUP, lambda *_: print('reloaded', flush=True));"
    "print('up', flush=True); [time.sleep(1) for _ in range(60)]"
)


@pytest.fixture(autouse=True)
def plain_python(monkeypatch, tmp_path):
    """Children run `python -c …` instead of the executable."""
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} -c "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(wrapper))


def child(tmp_path, words, started=lambda _: None):
    return Child("box", words, tmp_path / "box.log", started)


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


async def test_a_killed_child_is_started_again_and_said_so(tmp_path):
    pids = tmp_path / "pids"
    said = []
    serving = lambda _: until(pids.exists)  # noqa: E731
    supervisor = Supervisor([child(tmp_path, [SERVE, str(pids)], serving)], said.append)
    await supervisor.start()
    os.kill(int(pids.read_text().split()[0]), signal.SIGKILL)
    await asyncio.to_thread(until, lambda: len(pids.read_text().split()) == 2 and len(said) == 2)
    await supervisor.stop()
    assert "SIGKILL" in said[0]
    assert "again" in said[0]
    assert said[1] == "box runs again"


async def test_a_child_that_ends_at_once_is_an_error_with_its_last_words(tmp_path):
    failing = child(
        tmp_path, ["import sys; sys.exit('box: the port is taken')"], lambda c: until(lambda: not c.running)
    )
    supervisor = Supervisor([failing], print)
    with pytest.raises(Error, match="the port is taken"):
        await supervisor.start()
    await supervisor.stop()


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("strongroom.chain.supervise.STOP_SECONDS", 0.2)
    log = tmp_path / "box.log"
    stubborn = child(tmp_path, [STUBBORN], lambda _: until(lambda: b"up" in log.read_bytes()))
    supervisor = Supervisor([stubborn], print)
    await supervisor.start()
    await supervisor.stop()
    assert stubborn.process.returncode == -signal.SIGKILL


async def test_a_child_is_kept_although_something_unforeseen_happens_at_its_restart(tmp_path):
    pids, said, calls = tmp_path / "pids", [], []

    def serving(_):
        calls.append(1)
        until(pids.exists)
        if len(calls) == 2:
            raise OSError(28, os.strerror(28))

    supervisor = Supervisor([child(tmp_path, [SERVE, str(pids)], serving)], said.append)
    await supervisor.start()
    for deaths, messages in ((1, 3), (2, 5)):
        await asyncio.to_thread(until, lambda deaths=deaths: len(pids.read_text().split()) == deaths)
        os.kill(int(pids.read_text().split()[-1]), signal.SIGKILL)
        await asyncio.to_thread(until, lambda messages=messages: len(said) == messages)
    await supervisor.stop()
    assert "No space left" in said[1]
    assert said[2] == said[4] == "box runs again"


async def test_a_restarted_child_that_runs_but_does_not_serve_is_helped_until_it_does(tmp_path):
    pids, said, calls = tmp_path / "pids", [], []

    def serving(_):
        calls.append(1)
        until(pids.exists)
        if 1 < len(calls) < 4:
            raise Error("the kms stays sealed")

    supervisor = Supervisor([child(tmp_path, [SERVE, str(pids)], serving)], said.append)
    await supervisor.start()
    os.kill(int(pids.read_text().split()[0]), signal.SIGKILL)
    await asyncio.to_thread(until, lambda: len(said) == 3)
    await supervisor.stop()
    assert said[1:] == ["the kms stays sealed", "box runs again"]
    assert len(pids.read_text().split()) == 2, "the process itself was left alone"


async def test_a_reload_waits_until_the_child_serves(tmp_path):
    log, ready = tmp_path / "box.log", threading.Event()
    supervisor = Supervisor([child(tmp_path, [RELOADED], lambda _: ready.wait(20))], print)
    starting = asyncio.create_task(supervisor.start())
    reloading = asyncio.create_task(supervisor.reload("box"))
    await asyncio.to_thread(until, lambda: log.exists() and b"up" in log.read_bytes())
    assert not reloading.done()
    ready.set()
    await starting
    await reloading
    await asyncio.to_thread(until, lambda: b"reloaded" in log.read_bytes())
    await supervisor.stop()


def test_children_do_not_inherit_what_is_meant_for_clients(monkeypatch):
    for name in ("VAULT_NAMESPACE", "BAO_TOKEN", "KES_SERVER", "MINIO_KMS_SECRET_KEY", "MINIO_ROOT_PASSWORD"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("MINIO_REGION", "here")
    found = inherited()
    assert found["MINIO_REGION"] == "here"
    assert not any(value == "x" for value in found.values())
