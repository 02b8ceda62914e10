"""KV version 2 as OpenBao 2.7.2 has it: how many versions stay, when they go, who may write (seen)."""

import json

import pytest
from kms_replay import ask, post, unsealed

HOUR = 3600 * 10**9


async def engine(folder, **config):
    replay = await unsealed(folder)
    await ask(replay, "POST", "sys/mounts/kv2", {"type": "kv", "options": {"version": "2"}})
    await ask(replay, "POST", "kv2/config", config)
    return replay


async def metadata(replay, name):
    return (await ask(replay, "GET", f"kv2/metadata/{name}"))["data"]


@pytest.mark.parametrize(("mount", "key", "kept"), [(5, 2, 5), (3, 8, 8), (0, 2, 2), (2, 0, 2), (0, 0, 10)])
async def test_the_larger_number_of_versions_counts(tmp_path, mount, key, kept):
    replay = await engine(tmp_path, max_versions=mount)
    await ask(replay, "POST", "kv2/metadata/a", {"max_versions": key})
    for number in range(12):
        await ask(replay, "POST", "kv2/data/a", {"data": {"n": number}})
    assert len((await metadata(replay, "a"))["versions"]) == kept


async def test_a_negative_number_keeps_all(tmp_path):
    replay = await engine(tmp_path, max_versions=-1)
    for number in range(12):
        await ask(replay, "POST", "kv2/data/a", {"data": {"n": number}})
    assert len((await metadata(replay, "a"))["versions"]) == 12
    assert (await ask(replay, "GET", "kv2/config"))["data"]["max_versions"] == 2**32 - 1


@pytest.mark.parametrize(
    ("mount", "key", "hours"), [("1h", "2h", 1), ("2h", "1h", 1), ("-1s", "1h", 0), ("0s", "1h", 1)]
)
async def test_versions_last_as_long_as_the_stricter_says_unless_one_says_for_ever(tmp_path, mount, key, hours):
    replay = await engine(tmp_path, delete_version_after=mount)
    await ask(replay, "POST", "kv2/metadata/a", {"delete_version_after": key})
    made = await ask(replay, "POST", "kv2/data/a", {"data": {}})
    assert bool(made["data"]["deletion_time"]) == bool(hours)
    replay.clock.ahead = HOUR - 10**9
    await ask(replay, "GET", "kv2/data/a")
    replay.clock.ahead = HOUR + 10**9
    answer = await replay.request("GET", "/v1/kv2/data/a", {"X-Vault-Token": replay.known["root"]}, b"")
    assert answer.status == (404 if hours else 200)


async def test_an_undeleted_version_lasts_as_long_as_a_new_one(tmp_path):
    replay = await engine(tmp_path)
    await ask(replay, "POST", "kv2/data/a", {"data": {}})
    await ask(replay, "DELETE", "kv2/data/a")
    await ask(replay, "POST", "kv2/config", {"delete_version_after": "1h"})
    await ask(replay, "POST", "kv2/undelete/a", {"versions": [1]})
    assert (await ask(replay, "GET", "kv2/data/a"))["data"]["metadata"]["deletion_time"]
    await ask(replay, "POST", "kv2/config", {"delete_version_after": "0s"})
    await ask(replay, "POST", "kv2/undelete/a", {"versions": [1]})
    assert (await ask(replay, "GET", "kv2/data/a"))["data"]["metadata"]["deletion_time"] == ""


@pytest.mark.parametrize("state", ["deleted", "destroyed", "metadata"])
async def test_who_may_create_only_writes_over_nothing_that_was_there(tmp_path, state):
    replay = await engine(tmp_path)
    policy = 'path "kv2/data/*" { capabilities = ["create"] }'
    await ask(replay, "PUT", "sys/policies/acl/create", {"policy": policy})
    token = (await ask(replay, "POST", "auth/token/create", {"policies": ["create"]}))["auth"]["client_token"]
    if state == "metadata":
        await ask(replay, "POST", "kv2/metadata/a", {"max_versions": 3})
    else:
        assert (await post(replay, "kv2/data/a", {"data": {}}, token))[0] == 200
        await ask(replay, "DELETE", "kv2/data/a")
    if state == "destroyed":
        await ask(replay, "POST", "kv2/destroy/a", {"versions": [1]})
    assert (await post(replay, "kv2/data/a", {"data": {}}, token))[0] == 403


async def test_null_resets_metadata(tmp_path):
    replay = await engine(tmp_path)
    settings = {"custom_metadata": {"a": "b"}, "max_versions": 3, "cas_required": True, "delete_version_after": "1h"}
    nulls = dict.fromkeys(settings)
    for method, kind in (("POST", "application/json"), ("PATCH", "application/merge-patch+json")):
        await ask(replay, "POST", "kv2/metadata/a", settings)
        headers = {"X-Vault-Token": replay.known["root"], "Content-Type": kind}
        answer = await replay.request(method, "/v1/kv2/metadata/a", headers, json.dumps(nulls).encode())
        assert answer.status == 204
        found = await metadata(replay, "a")
        assert (found["custom_metadata"], found["max_versions"], found["cas_required"]) == (None, 0, False)
        assert found["delete_version_after"] == "1h0m0s"


async def test_a_secret_cannot_do_without_what_its_mount_demands(tmp_path):
    replay = await engine(tmp_path, cas_required=True)
    answer = await ask(replay, "POST", "kv2/metadata/a", {"cas_required": False})
    assert "mandated by backend config" in answer["warnings"][0]
    assert await ask(replay, "POST", "kv2/metadata/a", {"max_versions": 2}) == {}
