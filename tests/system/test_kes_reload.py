"""What a reload changes beside policies and keys, and what it keeps when it fails."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_kes_outage import World

from strongroom.audit.chain import verify
from strongroom.errors import BadSettings
from strongroom.kes import app as kes_app
from strongroom.kes import running
from strongroom.kes.domain.settings import AuditSettings, FsSettings


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = await World().start(tmp_path, monkeypatch)
    yield made
    await made.stop()


async def test_an_audit_log_that_is_switched_on_is_written(world: World, tmp_path: Path) -> None:
    file, other = tmp_path / "audit.log", tmp_path / "other.log"
    off = world.app.state.settings
    heard: list[dict[str, object]] = []

    async def listen() -> None:
        async with aclosing(world.kes.log("audit")) as events:
            async for event in events:
                heard.append(event)

    listening = asyncio.create_task(listen())
    while not world.app.audit.subscribed:
        await asyncio.sleep(0.01)
    await world.kes.create("a")
    on = replace(off, audit=AuditSettings(console=False, file=str(file)), audit_level=0)
    await world.app.reload(on)
    await world.kes.create("b")
    await world.app.reload(replace(on, audit=replace(on.audit, rotate_bytes=10**6)))
    await world.kes.create("c")
    await world.app.reload(replace(on, audit=replace(on.audit, file=str(other))))
    await world.kes.create("d")
    assert [name for name in "abcd" if f"/create/{name}".encode() in file.read_bytes()] == ["b", "c"]
    assert b"/create/d" in other.read_bytes()
    for one in (file, other):
        verify(one.read_bytes().splitlines(), Path(f"{one}.key").read_bytes())
    await world.app.reload(off)
    await world.kes.create("e")
    assert b"/create/e" not in other.read_bytes()
    while not any("/create/e" in str(event) for event in heard):
        await asyncio.sleep(0.01)
    assert [name for name in "abcde" if any(f"/create/{name}" in str(event) for event in heard)] == list("abcde")
    listening.cancel()


async def test_an_audit_log_that_cannot_be_opened_keeps_everything(world: World, tmp_path: Path) -> None:
    before = world.app.state
    bad = replace(
        before.settings,
        audit=AuditSettings(console=False, file=str(tmp_path / "no" / "such" / "folder")),
        audit_level=0,
        store=FsSettings(str(tmp_path / "keys")),
    )
    with pytest.raises(BadSettings, match="audit"):
        await world.app.reload(bad)
    assert world.app.state is before
    await world.kes.create("mine")
    assert not (tmp_path / "keys" / "mine").exists()


async def test_a_reload_that_meets_a_fault_is_not_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    hang_up, results = asyncio.Event(), [RuntimeError("a fault"), ValueError("embedded null byte"), "settings"]
    reloaded = asyncio.Event()

    def load() -> object:
        found = results.pop(0)
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(warnings=(), routes={})

    async def reload(settings: object) -> None:
        reloaded.set()

    running_app = SimpleNamespace(reload=reload, port=1)
    task = asyncio.create_task(running._reload_on_signal(running_app, load, None, hang_up))
    async with asyncio.timeout(5):
        while not reloaded.is_set():
            hang_up.set()
            await asyncio.sleep(0.01)
    task.cancel()
    told = capsys.readouterr().err
    assert "Failed to reload server config: RuntimeError: a fault" in told
    assert "ValueError: embedded null byte" in told


async def test_the_seconds_work_goes_on_after_a_fault(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []

    def checkpoint(text: str) -> None:
        done.append(text)
        raise RuntimeError("a fault")

    monkeypatch.setattr(kes_app, "CERTIFICATE_SECONDS", -1.0)
    monkeypatch.setattr(world.app.audit, "checkpoint", checkpoint, raising=False)
    monkeypatch.setattr(world.app.server.tls, "reload", lambda: (_ for _ in ()).throw(RuntimeError("no file")))
    async with asyncio.timeout(10):
        while len(done) < 2:
            await asyncio.sleep(0.05)


async def test_reloads_go_on_when_nobody_reads_what_they_print(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> int:
            raise BrokenPipeError("nobody reads")

        def flush(self) -> None:
            raise BrokenPipeError("nobody reads")

    reloads: list[object] = []

    async def reload(settings: object) -> None:
        reloads.append(settings)

    hang_up, loads = asyncio.Event(), iter(range(100))

    def load() -> object:
        if next(loads) % 2:
            raise BadSettings("a mistake")
        return SimpleNamespace(warnings=("one",), routes={})

    monkeypatch.setattr("sys.stdout", Gone())
    monkeypatch.setattr("sys.stderr", Gone())
    running_app = SimpleNamespace(reload=reload, port=1)
    task = asyncio.create_task(running._reload_on_signal(running_app, load, lambda *_: print("banner"), hang_up))
    async with asyncio.timeout(5):
        while len(reloads) < 2:
            hang_up.set()
            await asyncio.sleep(0.01)
    task.cancel()
    monkeypatch.undo()
