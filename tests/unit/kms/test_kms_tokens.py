"""Lifetimes, use counts and revocation of tokens, under a clock that the test moves."""

from kms_replay import ask, post, unsealed

from strongroom.kms.domain.tokens import Lifetime, issue_ttl

DAY = 24 * 3600


async def login_alive(replay, token):
    return (await replay.request("GET", "/v1/auth/token/lookup-self", {"X-Vault-Token": token}, b"")).status == 200


async def test_a_token_dies_at_its_end_and_is_swept_with_its_children(tmp_path):
    replay = await unsealed(tmp_path)
    parent = (await ask(replay, "POST", "auth/token/create", {"ttl": "1h"}))["auth"]["client_token"]
    child = (await ask(replay, "POST", "auth/token/create", {"ttl": "48h"}, parent))["auth"]["client_token"]
    await ask(replay, "PUT", "cubbyhole/x", {"a": 1}, child)
    assert await login_alive(replay, child)
    replay.clock.ahead += 3601 * 10**9
    assert not await login_alive(replay, parent)
    assert await login_alive(replay, child)
    replay.core.tick()
    assert not await login_alive(replay, child)
    work = replay.core.work()
    assert work.walk("cubbyhole/") == []
    assert work.walk("sys/expire/") == []
    assert len(work.walk("sys/token/id/")) == 1


async def test_renewal_never_passes_the_maximum(tmp_path):
    replay = await unsealed(tmp_path)
    made = await ask(replay, "POST", "auth/token/create", {"ttl": "100h", "explicit_max_ttl": "150h"})
    token = made["auth"]["client_token"]
    replay.clock.ahead += 90 * 3600 * 10**9
    renewed = await ask(replay, "POST", "auth/token/renew-self", {}, token)
    assert renewed["auth"]["lease_duration"] in range(60 * 3600 - 5, 60 * 3600 + 1)
    replay.clock.ahead += 61 * 3600 * 10**9
    assert not await login_alive(replay, token)


async def test_a_periodic_token_lives_as_long_as_it_is_renewed(tmp_path):
    replay = await unsealed(tmp_path)
    token = (await ask(replay, "POST", "auth/token/create", {"period": "1h"}))["auth"]["client_token"]
    for _ in range(1000):
        replay.clock.ahead += 3000 * 10**9
        assert (await ask(replay, "POST", "auth/token/renew-self", {}, token))["auth"]["lease_duration"] == 3600
    replay.clock.ahead += 3601 * 10**9
    assert not await login_alive(replay, token)


async def test_a_use_count_is_spent_once(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    body = {"num_uses": 1, "policies": ["root"]}
    token = (await ask(replay, "POST", "auth/token/create", body))["auth"]["client_token"]
    statuses = [(await post(replay, f"kv/{n}", {"x": n}, token))[0] for n in range(5)]
    assert statuses == [204, 403, 403, 403, 403]
    assert replay.core.work().walk("sys/token/id/") == [
        f"sys/token/id/{replay.core.live.tokens.hash(replay.known['root'])}"
    ]


async def test_tokens_survive_a_seal_and_stay_hashed(tmp_path):
    replay = await unsealed(tmp_path)
    token = (await ask(replay, "POST", "auth/token/create", {"ttl": "1h"}))["auth"]["client_token"]
    await ask(replay, "PUT", "sys/seal")
    await replay.request("PUT", "/v1/sys/unseal", {}, b'{"key":"' + replay.known["k"].encode() + b'"}')
    assert await login_alive(replay, token)
    for key in replay.core.store.keys("", "", 1000):
        assert token not in key
        assert token.encode() not in (replay.core.store.get(key) or b"")


def test_lifetimes():
    assert issue_ttl(Lifetime(10, 100)) == (10, [])
    assert issue_ttl(Lifetime(10, 100, 50)) == (50, [])
    assert issue_ttl(Lifetime(10, 100, 500))[0] == 100
    assert issue_ttl(Lifetime(10, 100, 0, 30)) == (30, [])
    assert issue_ttl(Lifetime(10, 100, 0, 300))[0] == 100
    assert issue_ttl(Lifetime(10, 100, 50, 0, 20))[0] == 20
    assert issue_ttl(Lifetime(10, 100, 50), elapsed=80)[0] == 20
    assert issue_ttl(Lifetime(10, 100, 50, 30), elapsed=10**9) == (30, [])
    assert issue_ttl(Lifetime(10, 100, 50, 30, 100), elapsed=90)[0] == 10


async def test_quotas_answer_429(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    await ask(replay, "PUT", "kv/a", {"x": 1})
    await ask(replay, "POST", "sys/quotas/rate-limit/slow", {"path": "kv/", "rate": 2})
    headers = {"X-Vault-Token": replay.known["root"]}
    statuses = [(await replay.request("GET", "/v1/kv/a", headers, b"")).status for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    replay.clock.ahead += 10**9
    assert (await replay.request("GET", "/v1/kv/a", headers, b"")).status == 200
    await ask(replay, "DELETE", "sys/quotas/rate-limit/slow")
    assert (await replay.request("GET", "/v1/kv/a", headers, b"")).status == 200


async def test_metrics_have_vault_s_names(tmp_path):
    replay = await unsealed(tmp_path)
    object.__setattr__(replay.core.settings, "prometheus_retention", 60.0)
    headers = {"X-Vault-Token": replay.known["root"]}
    answer = await replay.request("GET", "/v1/sys/metrics?format=prometheus", headers, b"")
    assert answer.status == 200
    for name in (b"vault_core_unsealed 1", b"vault_core_handle_request_count", b"vault_barrier_term 1"):
        assert name in answer.body
    assert (await replay.request("GET", "/v1/sys/metrics", {}, b"")).status == 403
    assert "Gauges" in (await ask(replay, "GET", "sys/metrics"))
