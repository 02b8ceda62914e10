"""Tokens: what a role frees its caller from, and what ends with a parent. Each answer was seen from OpenBao."""

import pytest
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


async def made(replay, path, body):
    """Return (the auth member, the warnings) of a token made by root."""
    answer = await ask(replay, "POST", f"auth/token/{path}", {"policies": ["default"]} | body)
    return answer["auth"], answer["warnings"] or []


async def looked_up(replay, auth):
    return (await ask(replay, "GET", "auth/token/lookup-self", token=auth["client_token"]))["data"]


@pytest.mark.parametrize(
    ("role", "asked", "member", "found"),
    [
        ({"token_num_uses": 2}, {"num_uses": 5}, "num_uses", 2),
        ({"token_num_uses": 5}, {"num_uses": 2}, "num_uses", 2),
        ({"token_period": "2h"}, {"period": "1h"}, "lease_duration", 3600),
        ({"token_period": "2h"}, {"period": "3h"}, "lease_duration", 7200),
        ({"token_explicit_max_ttl": "1h"}, {"explicit_max_ttl": "2h"}, "lease_duration", 3600),
        ({"token_type": "service"}, {"type": "batch"}, "token_type", "service"),
        ({"token_type": "batch", "orphan": True, "renewable": False}, {"type": "service"}, "token_type", "batch"),
        ({"token_type": "default-batch"}, {}, "token_type", "batch"),
        ({"token_type": "default-batch"}, {"type": "service"}, "token_type", "service"),
    ],
)
async def test_a_request_does_not_reach_beyond_its_role(tmp_path, role, asked, member, found):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "auth/token/roles/r", role)
    auth, warnings = await made(replay, "create/r", asked)
    assert auth[member] == found
    both = any("both during creation call and in role; using the lesser value" in text for text in warnings)
    assert both == (member == "lease_duration")


async def test_a_renewal_follows_the_role_of_today(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "auth/token/roles/r", {"token_period": "1h"})
    auth, _ = await made(replay, "create/r", {})
    token = auth["client_token"]
    assert "period" not in await looked_up(replay, auth)
    await ask(replay, "POST", "auth/token/roles/r", {"token_period": "4h"})
    assert (await ask(replay, "POST", "auth/token/renew-self", {}, token))["auth"]["lease_duration"] == 4 * 3600
    await ask(replay, "POST", "auth/token/roles/r", {"token_explicit_max_ttl": "30m"})
    assert (await ask(replay, "POST", "auth/token/renew-self", {}, token))["auth"]["lease_duration"] == 1800
    await ask(replay, "DELETE", "auth/token/roles/r")
    status, answer = await post(replay, "auth/token/renew-self", {}, token)
    assert (status, 'original token role "r" could not be found' in answer["errors"][0]) == (500, True)


@pytest.mark.parametrize(
    ("role", "complaint"),
    [
        ({"token_type": "batch"}, "'token_type' cannot be 'batch' when role is set to generate non-orphan tokens"),
        (
            {"token_type": "batch", "orphan": True},
            "'token_type' cannot be 'batch' when role is set to generate renewable tokens",
        ),
        ({"token_num_uses": -1}, "error parsing role fields: 'token_num_uses' cannot be negative"),
        ({"path_suffix": "a b"}, r"given role path suffix contains invalid characters; must match \w[\w-.]+\w"),
    ],
)
async def test_a_role_that_no_token_can_follow_is_refused(tmp_path, role, complaint):
    replay = await unsealed(tmp_path)
    answer = await post(replay, "auth/token/roles/r", role, replay.known["root"])
    assert answer == (400, {"errors": [complaint]})


async def test_old_names_of_a_role_are_shown_again(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "auth/token/roles/r", {"period": "5m", "bound_cidrs": "127.0.0.1/32,10.0.0.0/8"})
    found = (await ask(replay, "GET", "auth/token/roles/r"))["data"]
    assert found["period"] == found["token_period"] == 300
    assert found["bound_cidrs"] == found["token_bound_cidrs"] == ["127.0.0.1", "10.0.0.0/8"]
    await ask(replay, "POST", "auth/token/roles/r", {"token_period": "7m"})
    found = (await ask(replay, "GET", "auth/token/roles/r"))["data"]
    assert (found["period"], found["token_period"], found["explicit_max_ttl"]) == (0, 420, 0)


async def test_default_is_left_out_where_it_is_not_wanted(tmp_path):
    replay = await unsealed(tmp_path)
    auth, _ = await made(replay, "create", {"no_default_policy": True})
    assert auth["policies"] == []
    await ask(replay, "POST", "auth/token/roles/r", {"disallowed_policies": "default"})
    auth, _ = await made(replay, "create/r", {"policies": ["other"]})
    assert auth["policies"] == ["other"]
    await ask(replay, "POST", "auth/token/roles/g", {"allowed_policies_glob": "p*"})
    auth, _ = await made(replay, "create/g", {"policies": None})
    assert auth["policies"] == ["default"]


async def test_an_entity_alias_needs_a_role_that_allows_it(tmp_path):
    replay = await unsealed(tmp_path)
    root = replay.known["root"]
    answer = await post(replay, "auth/token/create", {"entity_alias": "x"}, root)
    assert answer == (400, {"errors": ["'entity_alias' is only allowed in combination with token role"]})
    await ask(replay, "POST", "auth/token/roles/r", {"allowed_entity_aliases": ["Ann*"]})
    answer = await post(replay, "auth/token/create/r", {"entity_alias": "bob"}, root)
    assert answer == (400, {"errors": ["invalid 'entity_alias' value"]})
    first, _ = await made(replay, "create/r", {"entity_alias": "anna"})
    again, _ = await made(replay, "create/r", {"entity_alias": "ANNA"})
    assert first["entity_id"]
    assert first["entity_id"] == again["entity_id"] == (await looked_up(replay, first))["entity_id"]


async def test_other_answers(tmp_path):
    replay = await unsealed(tmp_path)
    root = replay.known["root"]
    answer = await post(replay, "auth/token/revoke-orphan", {"token": "nobody's"}, root)
    assert answer == (400, {"errors": ["token to revoke not found"]})
    answer = await post(replay, "auth/token/create", {"type": "default-service"}, root)
    assert answer == (400, {"errors": ["invalid 'token_type' value"]})
    auth, _ = await made(replay, "create", {"display_name": "a b/c!"})
    assert (await looked_up(replay, auth))["display_name"] == "token-a-b-c"
    _, warnings = await made(replay, "create", {"period": "2h", "explicit_max_ttl": "1h"})
    capped = 'period of "2h" exceeded the effective max_ttl of "1h"; period value is capped accordingly'
    assert warnings == [capped]
