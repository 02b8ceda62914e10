"""Paths and forms as OpenBao 2.7.2 reads them (seen)."""

import pytest
from kms_replay import ask, unsealed


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/v1//sys/health", "/v1/sys/health"),
        ("/v1/./kv/x", "/v1/kv/x"),
        ("/v1/kv/.", "/v1/kv"),
        ("/v1/kv//x", "/v1/kv/x"),
        ("/v1/kv/../x", "/v1/x"),
        ("/v1/kv/a/./b/", "/v1/kv/a/b/"),
    ],
)
async def test_a_path_that_is_not_clean_is_sent_to_the_clean_one(tmp_path, path, clean):
    replay = await unsealed(tmp_path)
    answer = await replay.request("GET", path, {"X-Vault-Token": replay.known["root"]}, b"")
    assert (answer.status, dict(answer.headers)["Location"]) == (307, clean)


@pytest.mark.parametrize("name", [".hidden", "a..b", "...", "a./.b"])
async def test_dots_in_names_are_names(tmp_path, name):
    replay = await unsealed(tmp_path)
    await ask(replay, "PUT", f"cubbyhole/{name}", {"a": "b"})
    assert (await ask(replay, "GET", f"cubbyhole/{name}"))["data"] == {"a": "b"}


async def test_a_repeated_name_of_a_form_is_a_comma_list(tmp_path):
    replay = await unsealed(tmp_path)
    headers = {"X-Vault-Token": replay.known["root"], "Content-Type": "application/x-www-form-urlencoded"}
    assert (await replay.request("PUT", "/v1/cubbyhole/f", headers, b"a=b&c=d&a=e")).status == 204
    assert (await ask(replay, "GET", "cubbyhole/f"))["data"] == {"a": "b,e", "c": "d"}
