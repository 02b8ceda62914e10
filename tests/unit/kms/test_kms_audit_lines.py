"""Audit lines of requests that fail or act for another token: each once, with who asked."""

import json

from kms_replay import ask, post, unsealed


async def audited(folder):
    replay = await unsealed(folder)
    log = folder / "audit.log"
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(log)}})
    log.write_text("")
    return replay, log


def lines(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


async def test_a_request_line_is_written_once(tmp_path):
    replay, log = await audited(tmp_path)
    assert (await post(replay, "auth/token/lookup", {"token": "nobody's"}, replay.known["root"]))[0] == 403
    assert [line["type"] for line in lines(log)] == ["request", "response"]
    assert "error" in lines(log)[1]


async def test_what_a_handler_refuses_is_an_error_and_what_is_not_there_is_none(tmp_path):
    replay, log = await audited(tmp_path)
    assert (await post(replay, "auth/token/create", {"ttl": "zz"}, replay.known["root"]))[0] == 400
    headers = {"X-Vault-Token": replay.known["root"]}
    assert (await replay.request("GET", "/v1/cubbyhole/none", headers, b"")).status == 404
    refused, missing = (line for line in lines(log) if line["type"] == "response")
    assert refused["error"] == "1 error occurred:\n\t* invalid request\n\n"
    assert refused["response"]["data"]["error"].startswith("hmac-sha256:")
    assert "error" not in missing


async def wrapped(replay):
    headers = {"X-Vault-Token": replay.known["root"], "X-Vault-Wrap-TTL": "60"}
    answer = await replay.request("POST", "/v1/sys/wrapping/wrap", headers, b'{"a":"b"}')
    return json.loads(answer.body)["wrap_info"]["token"]


async def test_who_unwraps_for_another_stands_in_the_log_and_pays_a_use(tmp_path):
    replay, log = await audited(tmp_path)
    body = {"policies": ["default"], "num_uses": 2, "display_name": "opener"}
    token = (await ask(replay, "POST", "auth/token/create", body))["auth"]["client_token"]
    inner = await wrapped(replay)
    log.write_text("")
    status, answer = await post(replay, "sys/wrapping/unwrap", {"token": inner}, token)
    assert (status, answer["data"]) == (200, {"a": "b"})
    assert {line["auth"]["display_name"] for line in lines(log)} == {"token-opener"}
    assert (await ask(replay, "GET", "auth/token/lookup-self", token=token))["data"]["num_uses"] == 0


async def test_a_token_bound_to_an_address_does_not_unwrap_from_another(tmp_path):
    replay, _ = await audited(tmp_path)
    await ask(replay, "POST", "auth/token/roles/far", {"token_bound_cidrs": "10.0.0.0/8"})
    body = {"policies": ["default"]}
    token = (await ask(replay, "POST", "auth/token/create/far", body))["auth"]["client_token"]
    inner = await wrapped(replay)
    assert (await post(replay, "sys/wrapping/unwrap", {"token": inner}, token))[0] == 403
    assert (await post(replay, "sys/wrapping/unwrap", {"token": inner}))[0] == 403
    assert (await post(replay, "sys/wrapping/unwrap", {}, inner))[0] == 200
