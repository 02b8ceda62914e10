"""`sys/seal`: who asked is in the audit log, and a limited token pays with a use."""

import json

from kms_replay import ask, post, unsealed

STRONG = 'path "sys/seal" { capabilities = ["update", "sudo"] }'


async def audited(folder):
    replay = await unsealed(folder)
    log = folder / "audit.log"
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(log)}})
    await ask(replay, "PUT", "sys/policies/acl/strong", {"policy": STRONG})
    return replay, log


def lines(log):
    found = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in found if line["request"]["path"] == "sys/seal"]


async def test_a_seal_leaves_one_request_line(tmp_path):
    replay, log = await audited(tmp_path)
    assert (await post(replay, "sys/seal", {"why": "drill"}, replay.known["root"]))[0] == 204
    assert replay.core.unsealed is None
    (line,) = lines(log)
    assert (line["type"], line["request"]["operation"]) == ("request", "update")
    assert line["auth"]["policies"] == ["root"]
    assert line["request"]["data"]["why"].startswith("hmac-sha256:")


async def test_a_refused_seal_is_audited_and_costs_a_use(tmp_path):
    replay, log = await audited(tmp_path)
    body = {"policies": ["default"], "num_uses": 3}
    weak = (await ask(replay, "POST", "auth/token/create", body))["auth"]["client_token"]
    assert (await post(replay, "sys/seal", {}, weak))[0] == 403
    (line,) = lines(log)
    assert line["auth"]["policy_results"] == {"allowed": False}
    assert line["auth"]["remaining_uses"] == 3
    assert (await ask(replay, "GET", "auth/token/lookup-self", token=weak))["data"]["num_uses"] == 1


async def test_the_last_use_seals_and_is_gone_after_the_unseal(tmp_path):
    replay, log = await audited(tmp_path)
    body = {"policies": ["strong"], "num_uses": 1}
    once = (await ask(replay, "POST", "auth/token/create", body))["auth"]["client_token"]
    assert (await post(replay, "sys/seal", {}, once))[0] == 204
    assert lines(log)[0]["auth"]["policy_results"]["granting_policies"][0]["name"] == "strong"
    await replay.request("PUT", "/v1/sys/unseal", {}, json.dumps({"key": replay.known["k"]}).encode())
    assert (await post(replay, "sys/seal", {}, once))[0] == 403
    assert replay.core.unsealed is not None


async def test_no_audit_line_no_seal(tmp_path):
    replay, _ = await audited(tmp_path)

    def full(line):
        raise OSError(28, "No space left on device")

    replay.core.audit.devices[0].sink.write = full
    assert (await post(replay, "sys/seal", {}, replay.known["root"]))[0] == 500
    assert replay.core.unsealed is not None


async def test_a_broken_body_is_refused_before_the_seal_state(tmp_path):
    replay, _ = await audited(tmp_path)
    for state in ("unsealed", "sealed"):
        answer = await replay.request("PUT", "/v1/sys/seal", {"X-Vault-Token": replay.known["root"]}, b"{x")
        assert answer.status == 400, state
        await post(replay, "sys/seal", {}, replay.known["root"])


async def test_lines_tell_the_uses_before_the_request(tmp_path):
    replay, log = await audited(tmp_path)
    made = await ask(replay, "POST", "auth/token/create", {"policies": ["default"], "num_uses": 2})
    token = made["auth"]["client_token"]
    for _ in range(2):
        await ask(replay, "GET", "auth/token/lookup-self", token=token)
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["auth"]["remaining_uses"] for line in found if line["request"]["operation"] == "read"] == [2, 2, 1, 1]
    created = next(line for line in found if "auth" in line.get("response", {}))
    assert created["response"]["auth"]["num_uses"] == 2
