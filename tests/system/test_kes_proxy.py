"""TLS proxies: whose identity counts, and what a proxy must send (kes.md 2.5)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import kes_world
import pytest

from strongroom.kes import app
from strongroom.kes.domain.policy import Policy
from strongroom.kes.domain.settings import AuditSettings, MemorySettings, Settings, TlsSettings
from strongroom.net.client import ClientAnswer, HttpClient
from strongroom.observe.log import OFF, Log
from strongroom.sdk.tls import client_tls

HEADER = "X-Tls-Client-Cert"


class Front:
    """A server that trusts `proxy`, and connections to it."""

    def __init__(self, folder: Path, *, verify: bool = False) -> None:
        self.folder = folder
        for one in (*kes_world.clients().values(), kes_world.server()):
            one.write(folder)
        if verify:  # `app` and the proxy itself are their own authorities
            both = kes_world.clients()["proxy"].cert + kes_world.clients()["app"].cert
            (folder / "ca.crt").write_bytes(both)
        ids = {name: one.identity for name, one in kes_world.clients().items()}
        self.settings = Settings(
            host="127.0.0.1",
            port=0,
            admin=ids["admin"],
            policies=(Policy("app", ("/v1/status",), (), (ids["app"], ids["mon"])),),
            tls=TlsSettings(
                str(folder / "kes.key"),
                str(folder / "kes.crt"),
                verify_clients=verify,
                ca=str(folder / "ca.crt") if verify else "",
                proxies=(ids["proxy"],),
                proxy_header=HEADER.lower(),
            ),
            store=MemorySettings(),
            audit=AuditSettings(console=False, file=str(folder / "audit.log")),
        )

    async def ask(self, name: str, path: str, *headers: tuple[str, str]) -> ClientAnswer:
        tls = client_tls(cert=self.folder / f"{name}.crt", key=self.folder / f"{name}.key", ca=self.folder / "kes.crt")
        async with HttpClient(tls=tls) as http:
            return await http.request("GET", f"https://127.0.0.1:{self.app.port}{path}", headers=headers)

    async def start(self) -> "Front":
        self.app = await app.start(self.settings, log=Log(OFF + 1))
        return self


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    made = await Front(tmp_path).start()
    yield made
    await made.app.stop(0)


def shown(name: str) -> tuple[str, str]:
    """Return the header that forwards a client's certificate."""
    return HEADER, quote(kes_world.clients()[name].cert.decode())


async def test_the_forwarded_identity_counts(front: Front) -> None:
    assert (await front.ask("proxy", "/v1/status", shown("app"))).status == 200
    assert (await front.ask("proxy", "/v1/metrics", shown("app"))).status == 403
    assert (await front.ask("proxy", "/v1/metrics", shown("admin"))).status == 200
    assert (await front.ask("proxy", "/v1/status", shown("nopolicy"))).status == 403


async def test_the_header_of_others_is_ignored(front: Front) -> None:
    assert (await front.ask("nopolicy", "/v1/status", shown("admin"))).status == 403
    assert (await front.ask("app", "/v1/status", shown("nopolicy"))).status == 200


BAD = {
    "absent": ((), "no client certificate is present"),
    "twice": ((shown("app"), shown("app")), "too many client certificates are present"),
    "another name": ((("X-Other", shown("app")[1]),), "no client certificate is present"),
    "no PEM": (((HEADER, "AAAA"),), "invalid client certificate"),
    "bad escape": (((HEADER, "%A-----BEGIN CERTIFICATE-----"),), "invalid client certificate"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_a_proxy_must_send(case: str, front: Front) -> None:
    headers, text = BAD[case]
    answer = await front.ask("proxy", "/v1/status", *headers)
    assert (answer.status, json.loads(answer.body)["message"]) == (400, text)


async def test_a_proxy_may_ask_for_the_version(front: Front) -> None:
    assert (await front.ask("proxy", "/version")).status == 200


async def test_the_clients_address_is_audited(front: Front, tmp_path: Path) -> None:
    await front.ask("proxy", "/v1/status", shown("app"), ("X-Forwarded-For", "192.0.2.7, 10.0.0.1"))
    await front.ask("app", "/v1/status", ("X-Forwarded-For", "192.0.2.8"))
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert [line["request"]["ip"] for line in lines if "request" in line] == ["192.0.2.7", "127.0.0.1"]


async def test_with_auth_on_the_forwarded_certificate_is_verified(tmp_path: Path) -> None:
    front = await Front(tmp_path, verify=True).start()
    assert (await front.ask("proxy", "/v1/status", shown("app"))).status == 200
    answer = await front.ask("proxy", "/v1/status", shown("mon"))
    assert (answer.status, json.loads(answer.body)["message"]) == (403, "")
    await front.app.stop(0)
