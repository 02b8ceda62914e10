"""Tokens: what a role frees its caller from, and what ends with a parent. Each answer was seen from OpenBao."""

from kms_replay import ask, post, unsealed

MAKER = 'path "auth/token/create*" { capabilities = ["create", "update"] }'
STRONG = 'path "*" { capabilities = ["create", "read", "update"] }'


async def maker(replay):
    await ask(replay, "PUT", "sys/policies/acl/maker", {"policy": MAKER})
    await ask(replay, "PUT", "sys/policies/acl/strong", {"policy": STRONG})
    return (await ask(replay, "POST", "auth/token/create", {"policies": ["maker"]}))["auth"]["client_token"]


async def test_a_role_without_lists_gives_nobody_more_than_it_has(tmp_path):
    replay = await unsealed(tmp_path)
    token = await maker(replay)
    await ask(replay, "POST", "auth/token/roles/r", {"orphan": True})
    answer = await post(replay, "auth/token/create/r", {"policies": ["strong"]}, token)
    assert answer == (400, {"errors": ["child policies must be subset of parent"]})
    assert (await post(replay, "auth/token/create/r", {"policies": ["maker"]}, token))[0] == 200
    assert (await post(replay, "auth/token/create/r", {"policies": ["strong"]}, replay.known["root"]))[0] == 200


async def test_a_role_with_a_list_replaces_the_callers_own(tmp_path):
    replay = await unsealed(tmp_path)
    token = await maker(replay)
    for role in ({"allowed_policies": "strong"}, {"disallowed_policies": "other"}, {"disallowed_policies_glob": "o*"}):
        await ask(replay, "POST", "auth/token/roles/r", role)
        assert (await post(replay, "auth/token/create/r", {"policies": ["strong"]}, token))[0] == 200
        assert (await post(replay, "auth/token/create/r", {"policies": ["other"]}, token))[0] == 400
        await ask(replay, "DELETE", "auth/token/roles/r")


async def test_a_batch_token_ends_with_its_parent(tmp_path):
    replay = await unsealed(tmp_path)
    parent = await maker(replay)
    status, made = await post(replay, "auth/token/create", {"type": "batch", "policies": ["maker"]}, parent)
    batch = made["auth"]["client_token"]
    assert status == 200
    assert (await ask(replay, "GET", "auth/token/lookup-self", token=batch))["data"]["type"] == "batch"
    await ask(replay, "POST", "auth/token/revoke", {"token": parent})
    assert (await post(replay, "auth/token/lookup-self", {}, batch))[0] == 403
