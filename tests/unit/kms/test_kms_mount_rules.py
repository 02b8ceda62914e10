"""Mounts, audit devices and headers: what may be set where (each answer was seen from OpenBao 2.7.2)."""

import json

import pytest
from kms_replay import ask, post, unsealed


async def refusal(replay, path, body):
    status, answer = await post(replay, path, body, replay.known["root"])
    assert status == 400, answer
    return answer["errors"][0]


@pytest.mark.parametrize(
    ("mount", "role", "made"),
    [
        ("service", "batch", "service"),
        ("batch", "service", "batch"),
        ("default-batch", "service", "service"),
        ("default-batch", "default", "batch"),
        ("default-service", "batch", "batch"),
        ("default-service", "default", "service"),
    ],
)
async def test_a_mount_s_token_type_binds_its_roles_unless_it_is_a_default(tmp_path, mount, role, made):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle", "config": {"token_type": mount}})
    await ask(replay, "POST", "auth/approle/role/r", {"token_type": role, "role_id": "id"})
    secret = (await ask(replay, "PUT", "auth/approle/role/r/secret-id"))["data"]["secret_id"]
    answer = await ask(replay, "POST", "auth/approle/login", {"role_id": "id", "secret_id": secret})
    assert answer["auth"]["token_type"] == made


async def test_token_types_are_checked(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    await ask(replay, "POST", "sys/auth/u", {"type": "userpass"})
    body = {"type": "userpass", "config": {"token_type": "x"}}
    assert await refusal(replay, "sys/auth/v", body) == "invalid value for 'token_type'"
    assert await refusal(replay, "sys/auth/u/tune", {"token_type": "x"}) == "invalid value for 'token_type'"
    found = await refusal(replay, "sys/mounts/kv/tune", {"token_type": "batch"})
    assert found == "'token_type' can only be modified on auth mounts"
    found = await refusal(replay, "sys/auth/token/tune", {"token_type": "batch"})
    assert found == "'token_type' cannot be set for 'token' or 'ns_token' auth mounts"
    body = {"password": "p", "token_type": "default-batch"}
    assert await refusal(replay, "auth/u/users/a", body) == "invalid 'token_type' value \"default-batch\""


async def test_older_and_looser_ways_to_mount(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/a", {"type": "plugin", "plugin_name": "kv", "options": "version=2"})
    found = (await ask(replay, "GET", "sys/mounts/a"))["data"]
    assert (found["type"], found["options"]) == ("kv", {"version": "2"})
    body = {"type": "transit", "options": {"version": "2"}}
    assert await refusal(replay, "sys/mounts/t", body) == 'secrets engine "transit" does not allow setting a version'
    body = {"type": "userpass", "options": {"version": "2"}}
    assert await refusal(replay, "sys/auth/u", body) == 'auth method "userpass" does not allow setting a version'


async def test_lockouts_lie_flat_in_a_tuning(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/a", {"type": "approle"})
    await ask(replay, "POST", "sys/auth/a/tune", {"user_lockout_config": {"lockout_threshold": "2"}})
    found = (await ask(replay, "GET", "sys/auth/a/tune"))["data"]
    assert found["user_lockout_threshold"] == 2
    assert "user_lockout_config" not in found
    assert (await ask(replay, "GET", "sys/auth/a"))["data"]["config"]["user_lockout_config"]


async def test_a_password_is_never_emptied(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/u", {"type": "userpass"})
    await ask(replay, "POST", "auth/u/users/a", {"password": "p"})
    assert await refusal(replay, "auth/u/users/a", {"password": ""}) == "missing password"
    assert (await post(replay, "auth/u/login/a", {"password": "p"}))[0] == 200


async def test_switches_of_an_audit_device_are_booleans(tmp_path):
    replay = await unsealed(tmp_path)
    log = str(tmp_path / "audit.log")
    for name in ("log_raw", "hmac_accessor", "elide_list_responses"):
        found = await refusal(replay, "sys/audit/a", {"type": "file", "options": {"file_path": log, name: "zz"}})
        assert found == 'strconv.ParseBool: parsing "zz": invalid syntax'
    options = {"file_path": log, "hmac_accessor": "False", "log_raw": "F"}
    await ask(replay, "PUT", "sys/audit/a", {"type": "file", "options": options})
    found = await refusal(replay, "sys/audit/a/below", {"type": "file", "options": {"file_path": "discard"}})
    assert found == "path already in use"
    made = await ask(replay, "POST", "auth/token/create", {"policies": ["default"]})
    line = json.loads((tmp_path / "audit.log").read_text().splitlines()[-1])
    assert line["response"]["auth"]["accessor"] == made["auth"]["accessor"]
    assert line["response"]["auth"]["client_token"].startswith("hmac-sha256:")


async def test_audited_headers_have_one_spelling(tmp_path):
    replay = await unsealed(tmp_path)
    base = "sys/config/auditing/request-headers"
    await ask(replay, "PUT", base + "/X-Foo", {"hmac": True})
    await ask(replay, "PUT", base + "/x-FOO", {"hmac": False})
    assert (await ask(replay, "GET", base))["data"]["headers"] == {"x-foo": {"hmac": False}}
    await ask(replay, "DELETE", base + "/X-FOO")
    assert (await ask(replay, "GET", base))["data"]["headers"] == {}
    headers = {"X-Vault-Token": replay.known["root"]}
    answer = await replay.request("GET", f"/v1/{base}/none", headers, b"")
    assert (answer.status, b"Could not find header" in answer.body) == (400, True)
