"""Recorded effects of the environment on the Vault store, and of the cache settings (tests/vectors/kes/extra.json)."""

import json
from pathlib import Path
from typing import Any

import kes_world
import pytest

from strongroom.config.kes import loads
from strongroom.errors import Unavailable
from strongroom.kes.domain.settings import CacheSettings, VaultLogin, VaultSettings
from strongroom.kes.storage.vault import VaultStore
from strongroom.messages import Body, Request, Response
from strongroom.net.server import listen
from strongroom.net.tls import server_tls
from strongroom.sdk import vault

EXTRA = kes_world.load("extra.json")
HEADERS = ("X-Vault-Request", "X-Vault-Token", "X-Vault-Namespace")
VARIABLES = ("VAULT_SKIP_VERIFY", "VAULT_CACERT", "VAULT_NAMESPACE", "VAULT_MAX_RETRIES", "VAULT_ADDR", "VAULT_TOKEN")


class Recorder:
    """A Vault that notes what it is asked, and fails every read."""

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[dict[str, str], str]]] = {"login": [], "health": [], "read": []}

    def __call__(self, request: Request, body: Body) -> Response:
        kind = "login" if "login" in request.path else "health" if "health" in request.path else "read"
        headers = {name: request.headers[name.lower()] for name in HEADERS if name.lower() in request.headers}
        self.seen[kind].append((headers, request.target))
        if kind == "login":
            return Response(200, (), b'{"auth":{"client_token":"tok","lease_duration":0,"renewable":true}}')
        if kind == "health":
            return Response(200, (), b'{"initialized":true,"sealed":false}')
        return Response(500, (), b'{"errors":["injected"]}')


@pytest.mark.parametrize("case", EXTRA["vault_env"], ids=lambda case: case["name"])
async def test_environment(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "PAUSES", (0.0, 0.0))
    kes_world.server().write(tmp_path)
    for name in (*VARIABLES, "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in case["env"].items():
        monkeypatch.setenv(name, value.replace("<dir>", str(tmp_path)))
    recorder = Recorder()
    server = await listen(recorder, "127.0.0.1", 0, tls=server_tls(tmp_path / "kes.crt", tmp_path / "kes.key"))
    # Where no variable brings trust, the recorded configuration named the CA; the first case had neither.
    trusts = {"no trust", "VAULT_SKIP_VERIFY=true", "VAULT_CACERT", "SSL_CERT_FILE"}
    settings = VaultSettings(
        f"https://127.0.0.1:{server.port}",
        VaultLogin("approle", "approle", id="r", secret="s"),
        namespace="ns1" if case["name"] == "namespace ns1" else "",
        ca="" if case["name"] in trusts else str(tmp_path / "kes.crt"),
    )
    try:
        if not case["started"]:
            with pytest.raises(Unavailable):
                await VaultStore.connect(settings, print)
            return
        store = await VaultStore.connect(settings, print)
        with pytest.raises(Unavailable):
            await store.get("mine")
        await store.status()
        await store.close()
    finally:
        await server.stop(0)
    seen = recorder.seen
    assert seen["login"][0][0] == case["login_headers"]
    assert seen["health"][-1] == (case["health_headers"], case["health_query"])
    assert seen["read"][0][0] == {name: value.replace("<token>", "tok") for name, value in case["read_headers"].items()}
    assert len(seen["read"]) == case["read_attempts_when_500"]


@pytest.mark.parametrize("case", EXTRA["cache"], ids=lambda case: case["name"])
def test_cache_settings(case: dict[str, Any]) -> None:
    """What is configured counts; what is absent has its documented default, not the original's slip (kes.md 4.3)."""
    text = {
        "admin": {"identity": "x"},
        "tls": {"key": "k", "cert": "c"},
        "keystore": {"fs": {"path": "p"}},
    }
    expiry = dict(part.split(": ") for part in (case["expiry"] or "").split(", ") if part)
    if expiry:
        text["cache"] = {"expiry": expiry}
    seconds = {"3s": 3, "60s": 60, "5m": 300, "4s": 4, "6s": 6}
    expected = CacheSettings(seconds[expiry.get("any", "5m")], seconds.get(expiry.get("unused", ""), 30), 0)
    assert loads(json.dumps(text), {}).cache == expected
