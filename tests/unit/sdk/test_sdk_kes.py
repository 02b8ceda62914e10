"""The KES client: fail-over, retries, old servers' words."""

import asyncio
from pathlib import Path

import kes_world
import pytest

from strongroom.errors import Denied, Error, Malformed, Unavailable
from strongroom.kes.domain.errors import KeyExists, KeyNotFound, NotAuthentic, StoreUnreachable
from strongroom.kes.wire.errors import error_body, from_answer
from strongroom.messages import Body, Request, Response
from strongroom.net.server import Server, listen
from strongroom.net.tls import server_tls
from strongroom.sdk import kes_transport
from strongroom.sdk.kes import KesClient
from strongroom.sdk.tls import client_tls

ANSWERS: list[tuple[int, str, bytes, type[Error]]] = [
    (404, "application/json", error_body("key does not exist"), KeyNotFound),
    (400, "application/json; charset=utf-8", b'{"message":"key does already exist"}', KeyExists),
    (400, "application/json", b'{"message":"x","error":"key already exists"}', KeyExists),
    (400, "text/plain", b"ciphertext is not authentic", NotAuthentic),
    (403, "application/json", b'{"message":"prohibited by policy"}', Denied),
    (403, "application/json", b'{"message":"key store is sealed"}', StoreUnreachable),
    (502, "application/json", b'{"message":"failed to read key"}', Unavailable),
    (503, "text/html", b"<html>", Unavailable),
    (418, "", b"", Malformed),
    (500, "application/json", b"not json", Unavailable),
]


@pytest.mark.parametrize(("status", "kind", "body", "expected"), ANSWERS)
def test_what_answers_mean(status: int, kind: str, body: bytes, expected: type[Error]) -> None:
    assert isinstance(from_answer(status, kind, body), expected)


@pytest.mark.parametrize("text", ["", "https://", "a:b:c", "host:99999", "host:1/path"])
def test_bad_endpoints(text: str) -> None:
    with pytest.raises(Malformed):
        KesClient([text], client_tls())


class Servers:
    """Servers that answer `/version` with their status, and count."""

    def __init__(self, folder: Path) -> None:
        kes_world.server().write(folder)
        self.folder, self.asked = folder, [0, 0]
        self.statuses = [200, 200]

    async def start(self) -> "Servers":
        tls = server_tls(self.folder / "kes.crt", self.folder / "kes.key")

        def handler(number: int) -> "Server":
            def handle(request: Request, body: Body) -> Response:
                self.asked[number] += 1
                if self.statuses[number] == 200:
                    return Response(200, (("Content-Type", "application/json"),), b'{"version":"%d"}' % number)
                return Response(self.statuses[number], (), b"no")

            return handle  # type: ignore[return-value]

        self.servers = [await listen(handler(n), "127.0.0.1", 0, tls=tls) for n in (0, 1)]
        urls = [f"https://127.0.0.1:{one.port}" for one in self.servers]
        self.kes = KesClient(urls, client_tls(ca=self.folder / "kes.crt"))
        self.kes._order = list(urls)
        return self

    async def stop(self) -> None:
        await self.kes.close()
        for one in self.servers:
            await one.stop(0)


@pytest.fixture
async def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kes_transport, "RETRY_SECONDS", 0.0)
    made = await Servers(tmp_path).start()
    yield made
    await made.stop()


async def test_a_failing_endpoint_is_put_aside(servers: Servers) -> None:
    servers.statuses[0] = 502
    assert await servers.kes.version() == "1"
    assert await servers.kes.version() == "1"
    assert servers.asked == [1, 2]


async def test_503_is_tried_three_times(servers: Servers) -> None:
    servers.statuses = [503, 503]
    with pytest.raises(Unavailable):
        await servers.kes.version()
    assert servers.asked == [3, 3]


async def test_client_errors_are_not_repeated(servers: Servers) -> None:
    servers.statuses[0] = 403
    with pytest.raises(Denied):
        await servers.kes.version()
    assert servers.asked == [1, 0]


async def test_a_dead_endpoint_is_skipped(servers: Servers) -> None:
    await servers.servers[0].stop(0)
    assert await asyncio.gather(*(servers.kes.version() for _ in range(3))) == ["1"] * 3
