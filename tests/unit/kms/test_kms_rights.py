"""What a token does not give: a place to pour bytes into, a seal from elsewhere."""

import io
import json

import pytest
from kms_replay import ask, post, unsealed

from strongroom.messages import Peer, Request

STRONG = 'path "*" { capabilities = ["create", "read", "update", "sudo"] }'


class Pouring:
    """A body that notes whether anybody takes it."""

    buffered = None
    length = 1 << 40

    def __init__(self):
        self.taken = False

    async def feed(self, sink):
        self.taken = True


async def test_a_backup_is_taken_from_those_only_who_may_restore(tmp_path):
    replay = await unsealed(tmp_path)
    replay.core.spool = io.BytesIO
    log = tmp_path / "audit.log"
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(log)}})
    weak = (await ask(replay, "POST", "auth/token/create", {"policies": ["default"]}))["auth"]["client_token"]
    for name in ("snapshot", "snapshot-force"):
        body, path = Pouring(), f"/v1/sys/storage/raft/{name}"
        request = Request("POST", path, path, "", {"x-vault-token": weak}, (), Peer("127.0.0.1", 1))
        assert (await replay.pipeline(request, body)).status == 403
        assert not body.taken
        asked, answered = (json.loads(line) for line in log.read_text().splitlines()[-2:])
        assert asked["request"]["path"] == answered["request"]["path"] == path[4:]
        assert (asked["auth"]["policies"], "permission denied" in answered["error"]) == (["default"], True)


async def test_a_token_bound_to_an_address_does_not_seal_from_another(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "PUT", "sys/policies/acl/strong", {"policy": STRONG})
    await ask(replay, "POST", "auth/token/roles/far", {"allowed_policies": "strong", "token_bound_cidrs": "10.0.0.0/8"})
    token = (await ask(replay, "POST", "auth/token/create/far", {}))["auth"]["client_token"]
    assert (await post(replay, "sys/seal", {}, token))[0] == 403
    assert replay.core.unsealed is not None
    assert (await post(replay, "sys/seal", {}, replay.known["root"]))[0] == 204


async def world_of_teams(folder):
    """Return a server with secrets of teams, and a login that names a team."""
    replay = await unsealed(folder)
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle"})
    alias = "identity.entity.aliases." + (await ask(replay, "GET", "sys/auth"))["data"]["approle/"]["accessor"]
    text = f'path "kv/{{{{{alias}.metadata.team}}}}/*" {{ capabilities = ["read"] }}\n'
    text += 'path "kv/{{identity.entity.id}}/*" { capabilities = ["read"] }\n'
    text += 'path "auth/token/*" { capabilities = ["create", "update", "sudo"] }'
    await ask(replay, "PUT", "sys/policies/acl/p", {"policy": text})
    await ask(replay, "POST", "auth/approle/role/r", {"token_policies": "p", "role_id": "r"})
    for team in ("a", "b", "c"):
        await ask(replay, "PUT", f"kv/{team}/s", {"team": team})

    async def login(team):
        wish = {"metadata": json.dumps({"team": team})}
        made = await ask(replay, "POST", "auth/approle/role/r/secret-id", wish)
        body = {"role_id": "r", "secret_id": made["data"]["secret_id"]}
        return (await ask(replay, "POST", "auth/approle/login", body))["auth"]

    async def read(token):
        found = []
        for team in ("a", "b", "c"):
            answer = await replay.request("GET", f"/v1/kv/{team}/s", {"X-Vault-Token": token}, b"")
            found += [team] if answer.status == 200 else []
        return found

    return replay, login, read


async def test_two_logins_of_one_role_have_the_rights_of_their_own_metadata(tmp_path):
    _, login, read = await world_of_teams(tmp_path)
    first, second = await login("a"), await login("b")
    assert first["entity_id"] == second["entity_id"]
    for _ in range(2):
        assert await read(first["client_token"]) == ["a"]
        assert await read(second["client_token"]) == ["b"]


async def test_a_child_is_of_its_parent_s_entity_and_cannot_name_a_team_itself(tmp_path):
    replay, login, read = await world_of_teams(tmp_path)
    parent = await login("a")
    wish = {"meta": {"team": "c"}}
    for path, kin in (("create", True), ("create-orphan", False)):
        child = (await ask(replay, "POST", f"auth/token/{path}", wish, parent["client_token"]))["auth"]
        assert child["entity_id"] == (parent["entity_id"] if kin else "")
        assert await read(child["client_token"]) == (["a"] if kin else [])
    alone = (await ask(replay, "POST", "auth/token/create", {"policies": "p", "meta": {"team": "c"}}))["auth"]
    assert await read(alone["client_token"]) == []


async def test_a_name_that_looks_like_a_template_or_a_pattern_opens_nothing(tmp_path):
    replay, login, read = await world_of_teams(tmp_path)
    alias = "identity.entity.aliases." + (await ask(replay, "GET", "sys/auth"))["data"]["approle/"]["accessor"]
    for team in (f"{{{{{alias}.metadata.team}}}}", "{{identity.entity.id}}", "*", "+", "a/s", ""):
        assert await read((await login(team))["client_token"]) == []


async def test_what_is_remembered_of_rights_ends_with_them(tmp_path):
    replay, login, read = await world_of_teams(tmp_path)
    token = (await login("a"))["client_token"]
    assert await read(token) == ["a"]
    await ask(replay, "PUT", "sys/policies/acl/p", {"policy": 'path "kv/b/*" { capabilities = ["read"] }'})
    assert await read(token) == ["b"]
    await ask(replay, "DELETE", "sys/policies/acl/p")
    assert await read(token) == []
    await ask(replay, "PUT", "sys/policies/acl/p", {"policy": 'path "kv/+/s" { capabilities = ["read"] }'})
    assert await read(token) == ["a", "b", "c"]
    await ask(replay, "POST", "auth/token/revoke", {"token": token})
    assert await read(token) == []
    few = (await ask(replay, "POST", "auth/token/create", {"policies": "p", "num_uses": 2}))["auth"]["client_token"]
    assert await read(few) == ["a", "b"]


async def test_capabilities_of_a_folder_are_those_that_a_list_of_it_meets(tmp_path):
    replay = await unsealed(tmp_path)
    text = 'path "kv/a" { capabilities = ["deny"] }\npath "kv/*" { capabilities = ["list"] }'
    await ask(replay, "PUT", "sys/policies/acl/x", {"policy": text})
    token = (await ask(replay, "POST", "auth/token/create", {"policies": ["x"]}))["auth"]["client_token"]
    found = await ask(replay, "POST", "sys/capabilities", {"token": token, "paths": ["kv/a/", "kv/b/"]})
    assert (found["data"]["kv/a/"], found["data"]["kv/b/"]) == (["deny"], ["list"])


@pytest.mark.parametrize(
    "line",
    [
        'expiration = "2030-01-01T00:00:00Z"',
        'mfa_methods = ["push"]',
        'control_group = { factor "x" {} }',
        'list_scan_response_keys_filter_path = "a"',
    ],
)
async def test_a_policy_may_not_rely_on_what_is_not_kept(tmp_path, line):
    replay = await unsealed(tmp_path)
    body = {"policy": f'path "kv/*" {{ capabilities = ["read"]\n{line} }}'}
    status, answer = await post(replay, "sys/policies/acl/p", body, replay.known["root"])
    assert (status, f"{line.split()[0]} is not supported" in answer["errors"][0]) == (400, True)
    headers = {"X-Vault-Token": replay.known["root"]}
    assert (await replay.request("GET", "/v1/sys/policies/acl/p", headers, b"")).status == 404


async def test_paths_and_parameters_may_be_called_like_restrictions(tmp_path):
    replay = await unsealed(tmp_path)
    rule = {"capabilities": ["update"], "allowed_parameters": {"expiration": []}}
    await ask(replay, "PUT", "sys/policies/acl/p", {"policy": json.dumps({"path": {"expiration": rule}})})


async def test_policies_do_not_expire_and_say_so(tmp_path):
    replay = await unsealed(tmp_path)
    for member in ({"ttl": "1h"}, {"expiration": "2030-01-01T00:00:00Z"}):
        body = {"policy": 'path "a" { capabilities = ["read"] }'} | member
        status, answer = await post(replay, "sys/policies/acl/p", body, replay.known["root"])
        assert (status, "do not expire" in answer["errors"][0]) == (400, True)
    await ask(replay, "PUT", "sys/policies/acl/p", {"policy": 'path "a" {}', "ttl": None})


@pytest.mark.parametrize("path", ["kv/{{identity.entity.id", "kv/identity.entity.id}}"])
async def test_half_a_template_is_refused(tmp_path, path):
    replay = await unsealed(tmp_path)
    body = {"policy": f'path "{path}" {{ capabilities = ["read"] }}'}
    status, answer = await post(replay, "sys/policies/acl/p", body, replay.known["root"])
    assert (status, "unbalanced templating characters" in answer["errors"][0]) == (400, True)
