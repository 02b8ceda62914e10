"""Every recorded exchange with a Vault: the same requests reach it, and its answers lead to the same results.

Our server asks for more (key states, tombstones, reading back after a KV v1 write), so the recorded requests must be
among ours, in order; what the recording does not answer is answered as by an empty KV engine.
"""

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import kes_world
import pytest
from ruamel.yaml import YAML

from strongroom.config.kes_stores import read_store
from strongroom.kes import app
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.settings import AuditSettings, Settings, TlsSettings
from strongroom.kes.wire.apikey import ApiKey
from strongroom.messages import Body, Request, Response
from strongroom.net.client import HttpClient
from strongroom.net.server import listen
from strongroom.observe.log import OFF, Log
from strongroom.sdk import vault
from strongroom.sdk.tls import client_tls

VECTORS = kes_world.load("vault.json")
OURS = kes_world.overrides()["vault"]
TRANSCRIPTS = VECTORS["transcripts"]
CONFIGS = {one["server"]: one["keystore"] for one in TRANSCRIPTS if one["name"].startswith("start ")}
CONFIGS["guide"] = CONFIGS["v1"]
IN_TIME = ("after the 10 s probe", "s after unseal", "Vault stopped")  # tests/system/test_kes_outage.py


class Replay:
    """A Vault that answers as recorded."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self.values: dict[str, Any] = {}
        self.wrapped: dict[str, str] = {}
        self.seen: list[tuple[str, str, str]] = []

    def expect(self, requests: list[dict[str, Any]]) -> None:
        """Answer like this from now on; the last answer of a path repeats."""
        self.seen.clear()
        self.answers.clear()
        for one in requests:
            self.answers.setdefault((one["method"], one["path"]), []).append((one["status"], one["response"] or ""))

    def __call__(self, request: Request, body: Body) -> Response:
        method, path = request.method, request.path
        self.seen.append((method, path, request.query))
        if "/transit/" in path and (answer := self._transit(path, json.loads(body.buffered or b"{}"))):
            return answer
        if method == "PUT" and (method, path) in self.answers:
            self.values[path] = json.loads(body.buffered or b"{}")
            self.answers.pop(("GET", path), None)
        if (method, path) in self.answers:
            queue = self.answers[method, path]
            status, text = queue.pop(0) if len(queue) > 1 else queue[0]
            return Response(status, (), re.sub(r'"<(request_id|time|\w+)>"', '"x"', text).encode())
        if path.endswith("/sys/health"):
            return Response(200, (), b'{"initialized":true,"sealed":false}')
        if path.endswith("/login"):
            return Response(200, (), b'{"auth":{"client_token":"t","lease_duration":0,"renewable":true}}')
        return self._engine(method, path, body.buffered or b"{}")

    def _transit(self, path: str, document: dict[str, str]) -> Response | None:
        """Wrap our own values, under the key version that the recording shows; None for recorded ciphertexts."""
        if "/encrypt/" in path:
            recorded = self.answers.get(("POST", path), [(200, "vault:v1:")])[0][1]
            version = re.search(r"vault:v(\d+):", recorded)
            wrapped = f"vault:v{version[1] if version else 1}:{len(self.wrapped)}"
            self.wrapped[wrapped] = document["plaintext"]
            return Response(200, (), json.dumps({"data": {"ciphertext": wrapped}}).encode())
        plaintext = self.wrapped.get(document["ciphertext"])
        return Response(200, (), json.dumps({"data": {"plaintext": plaintext}}).encode()) if plaintext else None

    def _engine(self, method: str, path: str, body: bytes) -> Response:
        place = path.replace("/metadata/", "/data/")
        if method == "PUT":
            self.values[place] = json.loads(body)
            self.answers.pop(("GET", path), None)
            return Response(204)
        if method == "DELETE":
            self.values.pop(place, None)
            return Response(204)
        if place not in self.values:
            return Response(404, (), b'{"errors":[]}')
        return Response(200, (), json.dumps({"data": self.values[place]}).encode())


@pytest.mark.parametrize("server", CONFIGS)
async def test_transcripts(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "PAUSES", (0.0, 0.0))
    replay = Replay()
    double = await listen(replay, "127.0.0.1", 0)
    kes_world.server().write(tmp_path)
    key = ApiKey.generate()
    text = CONFIGS[server].replace("127.0.0.1:27320", f"127.0.0.1:{double.port}")
    store = YAML(typ="safe", pure=True).load(text)
    store["vault"]["status"] = {"ping": 60.0}
    settings = Settings(
        host="127.0.0.1",
        port=0,
        admin=key.identity,
        tls=TlsSettings(str(tmp_path / "kes.key"), str(tmp_path / "kes.crt")),
        store=read_store(store),
        audit=AuditSettings(console=False),
    )
    failures = []
    running = await app.start(settings, log=Log(OFF + 1))
    await asyncio.sleep(0.05)
    running.entrance.server.version = "<unknown>"
    http = HttpClient(tls=client_tls(api_key=key, ca=tmp_path / "kes.crt"))
    for case in TRANSCRIPTS:
        if case["server"] == server and "request" in case and not any(words in case["name"] for words in IN_TIME):
            failures += await _one(case, replay, running, http)
    await http.close()
    await running.stop(0)
    await double.stop(0)
    assert not failures, "\n".join(failures)


async def _one(case: dict[str, Any], replay: Replay, running: app.App, http: HttpClient) -> list[str]:
    if "seal" in case["name"] and not case["vault_requests"]:
        replay.expect([])
    else:
        replay.expect(case["vault_requests"])
    running.state.keyring.drop_all()
    if "after unseal" in case["name"]:
        await running.store.status()
    request, ours = case["request"], OURS.get(case["name"], {})
    body = request["body"] if isinstance(request["body"], str) else json.dumps(request["body"])
    url = f"https://127.0.0.1:{running.port}{request['path']}"
    answer = await http.request(request["method"], url, body=b"" if request["body"] is None else body.encode())
    expected = case["response"] | ours.get("response", {})
    got, wanted = _shape(answer.body.decode()), _shape(expected["body"])
    failures = []
    if (answer.status, got) != (expected["status"], wanted):
        failures.append(f"{case['name']}: {answer.status} {got} instead of {expected['status']} {wanted}")
    missing = _missing(case["vault_requests"], replay.seen)
    if missing and "requests" not in ours:
        failures.append(f"{case['name']}: not asked {missing}, but {replay.seen}")
    return failures


def _shape(text: str) -> Any:
    try:
        document = json.loads(text)
    except ValueError:
        return text
    if "names" in document:
        document["names"] = [name for name in document["names"] if not name.endswith("/")]  # folders are no keys
    numbers = ("uptime", "num_cpu", "num_cpu_used", "mem_heap_used", "mem_stack_used", "keystore_latency")
    volatile = ("created_at", "created_by", "plaintext", "ciphertext", "keystore_unavailable", *numbers)
    return {name: value for name, value in document.items() if name not in volatile}


def _missing(recorded: list[dict[str, Any]], seen: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return the recorded requests that are not among ours in that order; checks before a write may name a version."""
    rest = iter(seen)
    wanted = dict.fromkeys((one["method"], one["path"], one["query"]) for one in recorded)
    return [one for one in wanted if not any(two[:2] == one[:2] and two[2] in (one[2], "version=1") for two in rest)]


@pytest.mark.parametrize("one", VECTORS["values"], ids=lambda one: f"{one['server']} {one['vault_path']}")
def test_values_that_an_original_put_into_a_vault(one: dict[str, Any]) -> None:
    data = one["bao_kv_get"]["data"]
    name = one["vault_path"].rpartition("/")[2]
    value = one.get("transit_plaintext") or data.get("data", data)[name]
    stored = storedkey.decode(value.encode())
    assert stored.key == base64.b64decode(one["key_b64"])
    assert storedkey.encode(stored) == value.encode()
