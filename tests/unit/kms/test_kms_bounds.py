"""Bounds that hold for what comes after: addresses, policies, mounts, wrapped answers. Seen from OpenBao."""

import json

from kms_replay import ask, post, unsealed

MAKER = 'path "auth/token/*" { capabilities = ["update", "sudo"] }'


async def looked_up(replay, path, body, token):
    made = (await post(replay, path, body, token))[1]["auth"]["client_token"]
    return (await ask(replay, "GET", "auth/token/lookup-self", token=made))["data"]


async def test_a_child_of_a_bound_token_is_bound_to_the_same_addresses(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "PUT", "sys/policies/acl/mk", {"policy": MAKER})
    for name, blocks in (("near", "127.0.0.0/8"), ("all", "0.0.0.0/0"), ("none", "")):
        role = {"allowed_policies": "mk,default", "token_bound_cidrs": blocks}
        await ask(replay, "POST", f"auth/token/roles/{name}", role)
    token = (await ask(replay, "POST", "auth/token/create/near", {"policies": ["mk"]}))["auth"]["client_token"]
    for path, body, bound in (
        ("create", {}, ["127.0.0.0/8"]),
        ("create", {"type": "batch"}, ["127.0.0.0/8"]),
        ("create", {"no_parent": True}, None),
        ("create-orphan", {}, None),
        ("create/all", {}, ["0.0.0.0/0"]),
        ("create/none", {}, None),
    ):
        assert (await looked_up(replay, "auth/token/" + path, body, token)).get("bound_cidrs") == bound, (path, body)


async def test_a_secret_id_cannot_widen_the_addresses_of_its_role(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle"})
    role = {"token_bound_cidrs": "127.0.0.0/8,10.0.0.1", "secret_id_bound_cidrs": "127.0.0.0/8"}
    path = "auth/approle/role/r"
    await ask(replay, "POST", path, role)
    root = replay.known["root"]
    for body in (
        {"token_bound_cidrs": "0.0.0.0/0"},
        {"token_bound_cidrs": "127.0.0.1/32,8.8.8.8/32"},
        {"token_bound_cidrs": "::/0"},
        {"cidr_list": "127.0.0.0/7"},
    ):
        status, answer = await post(replay, path + "/secret-id", body, root)
        assert status == 500
        assert "failed to verify subset relationship" in answer["errors"][0]
        assert (await post(replay, path + "/custom-secret-id", {"secret_id": "s", **body}, root))[0] == 500
    for body in ({"token_bound_cidrs": "10.0.0.1/32"}, {"cidr_list": "127.0.0.1/32"}, {}):
        assert (await post(replay, path + "/secret-id", body, root))[0] == 200


async def test_a_list_of_policies_in_capitals_bars_the_policies_that_it_means(tmp_path):
    replay = await unsealed(tmp_path)
    root = replay.known["root"]
    await ask(
        replay, "POST", "auth/token/roles/r", {"disallowed_policies": "Admin,root", "disallowed_policies_glob": "Op*"}
    )
    for name in ("admin", "Admin", "operator"):
        assert (await post(replay, "auth/token/create/r", {"policies": [name]}, root))[0] == 400, name
    assert (await post(replay, "auth/token/create/r", {"policies": ["other"]}, root))[0] == 200
    assert (await ask(replay, "GET", "auth/token/roles/r"))["data"]["disallowed_policies"] == ["admin", "root"]


async def test_an_auth_method_is_not_taken_away_by_way_of_the_secret_engines(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle"})
    policy = 'path "sys/mounts/*" { capabilities = ["create", "read", "update", "delete"] }'
    await ask(replay, "PUT", "sys/policies/acl/m", {"policy": policy})
    token = (await ask(replay, "POST", "auth/token/create", {"policies": ["m"]}))["auth"]["client_token"]
    for path in ("auth/approle", "auth/token", "sys", "cubbyhole/x"):
        answer = await replay.request("DELETE", f"/v1/sys/mounts/{path}", {"X-Vault-Token": token}, b"")
        assert (answer.status, json.loads(answer.body)) == (400, {"errors": [f'cannot unmount "{path}/"']})
    assert (await ask(replay, "GET", "sys/auth/approle"))["data"]["type"] == "approle"


async def user(replay, path="userpass"):
    await ask(replay, "POST", f"auth/{path}/users/ann", {"password": "p", "token_policies": "a"})
    return (await post(replay, f"auth/{path}/login/ann", {"password": "p"}))[1]["auth"]["client_token"]


async def test_a_moved_auth_method_leaves_no_tokens_behind(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/userpass", {"type": "userpass"})
    token = await user(replay)
    await ask(replay, "POST", "sys/remount", {"from": "auth/userpass", "to": "auth/people"})
    assert (await post(replay, "auth/token/renew-self", {}, token))[0] == 403
    token = await user(replay, "people")
    assert (await post(replay, "auth/token/renew-self", {}, token))[0] == 200


async def test_an_engine_is_not_moved_over_another(tmp_path):
    replay = await unsealed(tmp_path)
    for path in ("a/b", "a/c"):
        await ask(replay, "POST", f"sys/mounts/{path}", {"type": "kv"})
    status, answer = await post(replay, "sys/remount", {"from": "a/b", "to": "a"}, replay.known["root"])
    assert (status, answer) == (400, {"errors": ['path already in use at "a/c/"']})
    await ask(replay, "DELETE", "sys/mounts/a/c")
    await ask(replay, "PUT", "a/b/s", {"x": 1})
    await ask(replay, "POST", "sys/remount", {"from": "a/b", "to": "a"})
    assert (await ask(replay, "GET", "a/s"))["data"] == {"x": 1}


async def test_a_login_is_not_renewed_once_its_user_has_other_policies(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/userpass", {"type": "userpass"})
    token = await user(replay)
    await ask(replay, "POST", "auth/userpass/users/ann", {"token_no_default_policy": True})
    assert (await post(replay, "auth/token/renew-self", {}, token))[0] == 200
    await ask(replay, "POST", "auth/userpass/users/ann", {"token_policies": "b"})
    text = "1 error occurred:\n\t* failed to renew entry: policies have changed, not renewing\n\n"
    assert await post(replay, "auth/token/renew-self", {}, token) == (500, {"errors": [text]})


async def test_a_wrapping_token_reads_its_answer_as_old_clients_do(tmp_path):
    replay = await unsealed(tmp_path)
    headers = {"X-Vault-Token": replay.known["root"], "X-Vault-Wrap-TTL": "60s"}
    answer = await replay.request("GET", "/v1/auth/token/lookup-self", headers, b"")
    token = json.loads(answer.body)["wrap_info"]["token"]
    held = json.loads((await ask(replay, "GET", "cubbyhole/response", token=token))["data"]["response"])
    assert held["data"]["policies"] == ["root"]
    assert (await post(replay, "sys/wrapping/unwrap", {}, token))[0] == 400
