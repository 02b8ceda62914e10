"""One id follows a request: from its client into the answer, the audit line and what is asked of other servers."""

import json
from pathlib import Path

import kes_world
import pytest

from strongroom.kes import app
from strongroom.kes.domain.settings import AuditSettings, MemorySettings, Settings, TlsSettings
from strongroom.observe.log import OFF, Log
from strongroom.request_id import current, request_id
from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls


@pytest.fixture
async def server(tmp_path: Path):
    kes_world.server().write(tmp_path)
    admin = kes_world.clients()["admin"]
    admin.write(tmp_path)
    settings = Settings(
        host="127.0.0.1",
        port=0,
        admin=admin.identity,
        tls=TlsSettings(str(tmp_path / "kes.key"), str(tmp_path / "kes.crt")),
        store=MemorySettings(),
        keys=("mine",),
        audit=AuditSettings(console=False, file=str(tmp_path / "audit.log")),
    )
    running = await app.start(settings, log=Log(OFF + 1))
    yield running
    await running.stop(0)


def audited(folder: Path) -> list[str]:
    lines = map(json.loads, (folder / "audit.log").read_bytes().splitlines())
    return [line["id"] for line in lines if "request" in line]


async def test_the_clients_id_is_audited_and_answered(server: app.App, tmp_path: Path) -> None:
    tls = client_tls(cert=tmp_path / "admin.crt", key=tmp_path / "admin.key", insecure=True)
    async with KesClient([f"127.0.0.1:{server.port}"], tls) as client:
        token = current.set("18A0F3")
        await client.generate("mine")
        current.reset(token)
        answer = await client._send("GET", "/v1/status")
    mine, made = audited(tmp_path)
    assert mine == "18A0F3"
    assert answer.headers["x-request-id"] == made


@pytest.mark.parametrize("given", [None, "", "a b", 'a"b', "a\\b", "x" * 65, "\xe9", "a\r\nb"])
def test_other_ids_are_replaced(given: str | None) -> None:
    made = request_id(given)
    assert made not in {given, request_id(given)}
    assert request_id(made) == made


@pytest.mark.parametrize("given", ["1", "x" * 64, "0af7651916cd43dd8448eb211c80319c", "urn:a/b?c"])
def test_visible_ids_stay(given: str) -> None:
    assert request_id(given) == given
