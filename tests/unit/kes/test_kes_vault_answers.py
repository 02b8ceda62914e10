"""Whatever a server at a Vault's address answers becomes one of the port's errors, and absence only if it says so."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from strongroom.errors import BadSettings, Unavailable
from strongroom.kes.domain.errors import KeyNotFound, StoreFailed, StoreUnreachable
from strongroom.kes.domain.settings import VaultLogin, VaultSettings
from strongroom.kes.outside.kes import KesStore
from strongroom.kes.storage.vault import VaultStore
from strongroom.kes.storage.vault_token import jwt_of
from strongroom.messages import Body, Request, Response
from strongroom.net.server import listen
from strongroom.sdk import clock, vault
from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls

HTML = b"<html><body><h1>404 Not Found</h1></body></html>"
LOGIN = {"auth": {"client_token": "t", "lease_duration": 0, "renewable": False}}


class Answering:
    """Logs in everybody, and answers everything else with `status`, `headers` and `body`."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.headers: tuple[tuple[str, str], ...] = ()
        self.seen: list[tuple[str, str, str, bytes]] = []

    def __call__(self, request: Request, body: Body) -> Response:
        if request.path.endswith("/login"):
            return Response(200, (), json.dumps(LOGIN).encode())
        if request.path == "/v1/sys/health":
            return Response(200, (), b'{"initialized":true,"sealed":false}')
        token = request.headers.get("x-vault-token", "")
        self.seen.append((request.method, request.target, token, body.buffered or b""))
        return Response(self.status, self.headers, self.body)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Answering, str]]:
    double = Answering()
    running = await listen(double, "127.0.0.1", 0)
    yield double, f"http://127.0.0.1:{running.port}"
    await running.stop(0)


def _settings(url: str, version: str = "v1", transit: str = "") -> VaultSettings:
    login = VaultLogin("approle", "approle", id="r", secret="s")
    return VaultSettings(url, login, version=version, transit_key=transit, transit_engine="transit")


@pytest.fixture(params=["v1", "v2"])
async def store(
    request: pytest.FixtureRequest, server: tuple[Answering, str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[VaultStore]:
    monkeypatch.setattr(vault, "PAUSES", (0.0, 0.0))
    made = await VaultStore.connect(_settings(server[1], request.param, "wrap"), print)
    yield made
    await made.close()


@pytest.mark.parametrize("status", [301, 403, 404, 418, 500, 503])
async def test_a_proxys_page_is_no_missing_key(server: tuple[Answering, str], store: VaultStore, status: int) -> None:
    server[0].status, server[0].body = status, HTML
    for work in (store.get("mine"), store.create("mine", b"v"), store.delete("mine"), store.names("", "", 9)):
        with pytest.raises(Unavailable):
            await work


async def test_what_a_vault_says_is_missing_is(server: tuple[Answering, str], store: VaultStore) -> None:
    server[0].status, server[0].body = 404, b'{"errors":[]}'
    with pytest.raises(KeyNotFound):
        await store.get("mine")
    assert await store.names("", "", 9) == []


GARBAGE = (
    b"",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"data":[1]}',
    b'{"data":"text"}',
    b'{"data":{"data":[1],"keys":"abc"}}',
    b'{"data":{"data":{"mine":1},"mine":2,"keys":{}}}',
    b'{"data":{"mine":"\\ud800","data":{"mine":"\\ud800"},"keys":7}}',
    b'{"data":{"mine":"vault:v1:x","data":{"mine":"vault:v1:x"},"plaintext":7}}',
    HTML,
)


@pytest.mark.parametrize("body", GARBAGE, ids=lambda body: repr(body[:40]))
async def test_garbage_is_a_failure_of_the_store(server: tuple[Answering, str], store: VaultStore, body: bytes) -> None:
    server[0].body = body
    for work in (store.get("mine"), store.create("other", b"v"), store.names("", "", 9)):
        try:
            found = await work
        except (StoreFailed, StoreUnreachable):
            continue
        assert found in ([], b"?")  # an empty listing; what was no text cannot become a key


async def test_a_standby_server_sends_us_to_the_active_one(server: tuple[Answering, str], store: VaultStore) -> None:
    active, body = Answering(), json.dumps({"data": {"mine": "v", "data": {"mine": "v"}}}).encode()
    active.body = body
    running = await listen(active, "127.0.0.1", 0)

    class ToActive(tuple):
        def __iter__(self):
            target = server[0].seen[-1][1]
            return iter((("Location", f"http://127.0.0.1:{running.port}{target}"),))

    server[0].status, server[0].headers, server[0].body = 307, ToActive(), b""
    assert await store.get("mine") == b"v"
    assert active.seen == server[0].seen  # with the token, and the path as it was
    await store.delete("mine")
    assert active.seen[-1][0] == "DELETE"
    await running.stop(0)
    with pytest.raises(StoreUnreachable):
        await store.get("mine")


@pytest.mark.parametrize("location", ["", "http://elsewhere.invalid/v1/kv/mine", "/v1/kv/mine"])
async def test_a_redirect_never_leaves_tls(location: str) -> None:
    answer = vault.ClientAnswer(307, {"location": location}, b"")
    if location.startswith("/"):
        assert vault._elsewhere("https://host/v1/x", answer) == "https://host" + location
        return
    with pytest.raises(Unavailable, match="redirects"):
        vault._elsewhere("https://host/v1/x", answer)


async def test_a_store_whose_clock_differs_is_noticed(server: tuple[Answering, str], store: VaultStore) -> None:
    assert store.clock_ahead == 0.0
    headers = {"date": formatdate(time.time() - 3600, usegmt=True)}
    noticed = clock.PeerClock()
    noticed.heard(headers)
    assert noticed.ahead == pytest.approx(3600, abs=3)
    for rubbish in ({}, {"date": ""}, {"date": "yesterday"}, {"date": "Mon, 99 Foo 2026 99:99:99 GMT"}):
        noticed.heard(rubbish)
        assert noticed.ahead == pytest.approx(3600, abs=3)
    noticed.heard({"date": formatdate(time.time(), usegmt=True)})
    assert noticed.ahead == 0.0


async def test_a_kes_without_secrets_has_no_missing_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = KesClient(["127.0.0.1:1"], client_tls(insecure=True))

    async def not_found(*_: object, **__: object) -> vault.ClientAnswer:
        return vault.ClientAnswer(404, {"content-type": "text/plain"}, b"404 page not found\n")

    monkeypatch.setattr(client, "_attempts", not_found)
    made = KesStore.__new__(KesStore)
    made._client = client
    for work in (made.get("mine"), made.create("mine", b"v"), made.delete("mine"), made.names("", "", 9)):
        with pytest.raises(StoreFailed):
            await work
    await client.close()


def test_a_login_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_bytes(b"\xff\xfe")
    with pytest.raises(BadSettings, match="not UTF-8"):
        jwt_of(str(tmp_path / "jwt"))


@pytest.mark.parametrize("location", ["https://[bad", "http://host:port/", "//", "\\\\"])
async def test_a_redirect_to_no_address_is_a_failure(
    server: tuple[Answering, str], store: VaultStore, location: str
) -> None:
    server[0].status, server[0].headers = 307, (("Location", location),)
    with pytest.raises(StoreUnreachable):
        await store.get("mine")


async def test_a_seal_is_looked_at_again_after_a_fault(
    store: VaultStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [RuntimeError("a fault"), RuntimeError("a fault")]
    looked = asyncio.Event()

    async def status() -> float:
        if faults:
            raise faults.pop()
        looked.set()
        return 0.0

    monkeypatch.setattr(store, "status", status)
    monkeypatch.setattr(store, "_settings", replace(store._settings, ping=0.1))
    watching = asyncio.create_task(store._watch_seal())
    async with asyncio.timeout(5):
        await looked.wait()
    watching.cancel()
    assert "RuntimeError: a fault" in capsys.readouterr().out
