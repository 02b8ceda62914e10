"""The recorded decisions: tokens with exactly the given policies make requests against a restored fixture."""

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from kms_replay import Replay, ask

HERE = Path(__file__).parent
FILE = json.loads((HERE / "kms/policies.json").read_text())
V1 = FILE["fixture"]["kv v1 at kv/"]


async def server(folder):
    replay = Replay(folder)
    answer = await replay.request("PUT", "/v1/sys/init", {}, b'{"secret_shares":1,"secret_threshold":1}')
    made = json.loads(answer.body)
    replay.known["root"] = made["root_token"]
    await replay.request("PUT", "/v1/sys/unseal", {}, json.dumps({"key": made["keys"][0]}).encode())
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    await ask(replay, "POST", "sys/mounts/kv2", {"type": "kv-v2"})
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle"})
    return replay


async def restore(replay):
    """Put the fixture back as it was recorded."""
    scanned = await replay.request("SCAN", "/v1/kv/", {"X-Vault-Token": replay.known["root"]}, b"")
    for name in json.loads(scanned.body)["data"]["keys"] if scanned.status == 200 else ():
        await ask(replay, "DELETE", "kv/" + quote(name))
    for name in V1:
        await ask(replay, "PUT", "kv/" + quote(name), {"v": "0"})
    found = await replay.request("SCAN", "/v1/kv2/metadata/", {"X-Vault-Token": replay.known["root"]}, b"")
    for name in json.loads(found.body)["data"]["keys"] if found.status == 200 else ():
        await ask(replay, "DELETE", "kv2/metadata/" + name)
    await ask(replay, "POST", "kv2/data/a", {"data": {"x": "1"}})
    await ask(replay, "DELETE", "auth/approle/role/new")
    await ask(replay, "PUT", "auth/approle/role/r", {"policies": "default"})


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda c: c["name"])
def test_recorded_decision(case, tmp_path):
    asyncio.run(decide(case, tmp_path))


async def decide(case, folder):
    replay = await server(folder)
    headers = {"X-Vault-Token": replay.known["root"]}
    names = []
    for number, text in enumerate(case["policies"]):
        body = json.dumps({"policy": text}).encode()
        answer = await replay.request("PUT", f"/v1/sys/policies/acl/p{number}", headers, body)
        refused = case.get("write_refused")
        if refused and refused["document"] == number:
            assert (answer.status, json.loads(answer.body)["errors"]) == (refused["status"], refused["errors"])
            return
        assert answer.status == 204, answer.body
        names.append(f"p{number}")
    body = {"policies": names or ["nothere"], "no_default_policy": True}
    token = (await ask(replay, "POST", "auth/token/create", body))["auth"]["client_token"]
    for request in case["requests"]:
        await restore(replay)
        sent = {"X-Vault-Token": token} | (request.get("headers") or {})
        data = json.dumps(request["body"]).encode() if "body" in request else b""
        answer = await replay.request(request["method"], "/v1/" + request["path"], sent, data)
        assert answer.status == request["status"], (request, answer.body)
