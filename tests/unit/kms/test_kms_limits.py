"""One request must not keep the others waiting: time limit, complexity limit, batches in slices, password threads."""

import asyncio
import dataclasses
import json
import threading
from base64 import b64encode

import pytest
from kms_replay import ask, post, unsealed

from strongroom.config.kms import kms_settings
from strongroom.kms.domain.errors import RateLimited, Refused
from strongroom.kms.handlers import passwords, transit_batch
from strongroom.kms.handlers.passwords import Passwords
from strongroom.kms.wire.complexity import TOO_LARGE, TOO_MANY, check_complexity, plain_size

ITEM = {"plaintext": b64encode(b"x" * 30).decode()}
LATE = {"errors": ["1 error occurred:\n\t* context deadline exceeded\n\n"]}


def limit(replay, **changes):
    pipeline = replay.pipeline
    pipeline.listener = dataclasses.replace(pipeline.listener, **changes)
    pipeline._plain = plain_size(pipeline.listener.max_json_strings, pipeline.listener.max_json_memory)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"a":["s","s","s"]}', None),
        (b'{"a":["s","s","s","s"]}', TOO_MANY),
        (b'{"a":"' + b"\\\\" * 50 + b'\\"' * 50 + b'"}', None),  # quotes within a text are no strings
        (b'{"a":"' + b"[{,\\u005b" * 500 + b'"}', None),
        (b"[" * 40, TOO_LARGE),
        (b'{"a":[' + b",".join([b"{}"] * 30) + b"]}", TOO_LARGE),
        (b'{"a":[' + b",".join([b"1"] * 30) + b"]}", None),
        (b'"' * 3, None),
    ],
)
def test_complexity_is_told_from_the_bytes(body, error):
    if error is None:
        check_complexity(body, 4, 1000)
    else:
        with pytest.raises(Refused, match=error):
            check_complexity(body, 4, 1000)
        check_complexity(body, -1, -1)


async def test_a_body_of_too_many_strings_is_refused_before_anybody_is_asked(tmp_path):
    replay = await unsealed(tmp_path)
    body = {"batch_input": [ITEM] * 6000}
    assert await post(replay, "transit/encrypt/k", body) == (400, {"errors": [TOO_MANY]})
    assert await post(replay, "sys/unseal", {"keys": ["k"] * 20_000}) == (400, {"errors": [TOO_MANY]})
    assert (await post(replay, "transit/encrypt/k", {"batch_input": [ITEM] * 1000}))[0] == 403
    limit(replay, max_json_strings=-1)
    assert (await post(replay, "transit/encrypt/k", body))[0] == 403


@pytest.mark.parametrize(
    "operation", ["encrypt/new", "encrypt/k", "decrypt/k", "rewrap/k", "hmac/k", "sign/s", "verify/s"]
)
async def test_health_is_answered_while_a_large_batch_is_worked_on(tmp_path, monkeypatch, operation):
    monkeypatch.setattr(transit_batch, "SLICE_NS", 0)
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(tmp_path / "a.log")}})
    await ask(replay, "POST", "transit/keys/k", {})
    await ask(replay, "POST", "transit/keys/s", {"type": "ed25519"})
    item = ITEM | {"ciphertext": (await ask(replay, "POST", "transit/encrypt/k", ITEM))["data"]["ciphertext"]}
    item["input"] = item["plaintext"]
    if operation == "verify/s":
        item["signature"] = (await ask(replay, "POST", "transit/sign/s", {"input": item["input"]}))["data"]["signature"]
    task = asyncio.create_task(ask(replay, "POST", "transit/" + operation, {"batch_input": [item] * 200}))
    answered = 0
    while not task.done():
        await asyncio.sleep(0)
        answered += (await replay.request("GET", "/v1/sys/health", {}, b"")).status == 200
    results = (await task)["data"]["batch_results"]
    assert len(results) == 200
    assert answered > 100
    assert all("error" not in result for result in results)


async def test_two_batches_that_make_the_same_key_agree_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(transit_batch, "SLICE_NS", 0)
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    made = [ask(replay, "POST", "transit/encrypt/new", {"batch_input": [ITEM] * 20}) for _ in range(2)]
    for answer in await asyncio.gather(*made):
        items = [{"ciphertext": result["ciphertext"]} for result in answer["data"]["batch_results"]]
        opened = await ask(replay, "POST", "transit/decrypt/new", {"batch_input": items})
        assert {result["plaintext"] for result in opened["data"]["batch_results"]} == {ITEM["plaintext"]}


async def test_a_batch_ends_when_the_server_seals(tmp_path, monkeypatch):
    monkeypatch.setattr(transit_batch, "SLICE_NS", 0)
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    await ask(replay, "POST", "transit/keys/k", {})
    body = {"batch_input": [ITEM] * 200}
    task = asyncio.create_task(post(replay, "transit/encrypt/k", body, replay.known["root"]))
    await asyncio.sleep(0)
    await ask(replay, "PUT", "sys/seal")
    assert await task == (503, {"errors": ["Vault is sealed"]})


async def test_a_request_ends_at_its_time_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(transit_batch, "SLICE_NS", 0)
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    log = tmp_path / "a.log"
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(log)}})
    await ask(replay, "POST", "transit/keys/k", {})
    limit(replay, max_request_duration=0.001)
    assert await post(replay, "transit/encrypt/k", {"batch_input": [ITEM] * 4000}, replay.known["root"]) == (500, LATE)
    last = json.loads(log.read_text().splitlines()[-1])
    assert (last["type"], last["error"]) == ("response", LATE["errors"][0])


async def test_a_write_that_the_storage_does_not_take_ends_at_the_time_limit(tmp_path, monkeypatch):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    limit(replay, max_request_duration=0.01)
    monkeypatch.setattr(replay.core.store, "submit", lambda writes, done: None)
    assert await post(replay, "kv/a", {"b": "c"}, replay.known["root"]) == (500, LATE)


async def test_a_body_that_does_not_come_ends_at_the_time_limit(tmp_path):
    replay = await unsealed(tmp_path)
    limit(replay, max_request_duration=0.01)

    class Slow:
        buffered, length = None, 10

        async def read(self, limit):
            await asyncio.sleep(60)

    request = await replay.request("GET", "/v1/sys/health", {}, b"")
    assert request.status == 200
    from strongroom.messages import Peer, Request

    answer = await replay.pipeline(Request("PUT", "/v1/kv/a", "/v1/kv/a", "", {}, (), Peer("::1", 1)), Slow())
    assert (answer.status, json.loads(answer.body)["errors"]) == (
        400,
        ["failed to decode JSON input: context deadline exceeded"],
    )


async def test_password_hashes_wait_in_a_short_queue_of_their_own():
    go, threads = threading.Event(), set()

    def hasher(password, salt):
        threads.add(threading.current_thread().name)
        go.wait(10)
        return password.encode() + salt

    pool = Passwords(hasher)

    def many(count, address):
        return [asyncio.create_task(pool.hash("p", b"s", "auth/userpass/login/a", address)) for _ in range(count)]

    one = many(passwords.OF_ONE, "10.0.0.1")
    await asyncio.sleep(0)
    with pytest.raises(RateLimited, match='request path "auth/userpass/login/a": rate limit quota exceeded'):
        await pool.hash("p", b"s", "auth/userpass/login/a", "10.0.0.1")
    others = [task for n in range(2, 5) for task in many(passwords.OF_ONE, f"10.0.0.{n}")]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await pool.hash("p", b"s", "x", "10.0.0.9")
    assert await asyncio.to_thread(lambda: "other work runs") == "other work runs"
    others[-1].cancel()
    go.set()
    assert set(await asyncio.gather(*one, *others[:-1])) == {b"ps"}
    await asyncio.sleep(0.05)
    assert await pool.hash("q", b"s", "x", "10.0.0.1") == b"qs"
    assert len(threads) <= passwords.THREADS
    assert not pool._waiting.total()
    pool.close()


async def test_guesses_at_the_same_time_are_no_more_than_the_lock_allows(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/userpass", {"type": "userpass"})
    replay.core.passwords = Passwords(lambda password, salt: password.encode())
    await ask(replay, "POST", "auth/userpass/users/ann", {"password": "right"})
    tries = [post(replay, "auth/userpass/login/ann", {"password": f"wrong{n}"}) for n in range(12)]
    found = [status for status, _ in await asyncio.gather(*tries)]
    assert sorted(found) == [400] * 5 + [403] * 7


def test_time_and_complexity_limits_are_read_for_each_listener(tmp_path):
    path = tmp_path / "c.hcl"
    path.write_text(
        'storage "inmem" {}\ndefault_max_request_duration = "30s"\n'
        'listener "tcp" { tls_disable = true }\n'
        'listener "tcp" {\n tls_disable = true\n max_request_duration = "5s"\n max_request_json_strings = -1\n'
        " max_request_json_memory = 1000\n}\n"
    )
    first, second = kms_settings([str(path)], {}).listeners
    assert (first.max_request_duration, first.max_json_strings, first.max_json_memory) == (30, 10_000, 34_078_720)
    assert (second.max_request_duration, second.max_json_strings, second.max_json_memory) == (5, -1, 1000)
    path.write_text('storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n')
    assert kms_settings([str(path)], {}).listeners[0].max_request_duration == 90


async def test_a_quota_counts_guesses_of_tokens_and_keeps_floods_out_of_the_audit_log(tmp_path):
    replay = await unsealed(tmp_path)
    log = tmp_path / "audit.log"
    await ask(replay, "POST", "sys/mounts/kv", {"type": "kv"})
    await ask(replay, "PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(log)}})
    await ask(replay, "POST", "sys/quotas/rate-limit/q", {"rate": 2, "path": "kv/"})
    body = {"policies": ["default"], "num_uses": 5}
    token = (await ask(replay, "POST", "auth/token/create", body))["auth"]["client_token"]
    log.write_text("")
    guesses = [await replay.request("GET", "/v1/kv/a", {"X-Vault-Token": f"s.{n}"}, b"") for n in range(5)]
    assert [answer.status for answer in guesses] == [403, 403, 429, 429, 429]
    assert (await replay.request("GET", "/v1/kv/a", {"X-Vault-Token": token}, b"")).status == 429
    assert len(log.read_text().splitlines()) == 4
    found = await ask(replay, "GET", "auth/token/lookup-self", token=token)
    assert found["data"]["num_uses"] == 4, "a request that a quota turned away is no use of its token"


async def test_a_changed_quota_begins_anew_and_a_mount_s_does_not_reach_its_neighbours(tmp_path):
    replay = await unsealed(tmp_path)
    for name in ("kv", "kv2"):
        await ask(replay, "POST", f"sys/mounts/{name}", {"type": "kv"})
    headers = {"X-Vault-Token": replay.known["root"]}

    async def statuses(path):
        return [(await replay.request("GET", path, headers, b"")).status for _ in range(3)]

    for _ in range(2):
        await ask(replay, "POST", "sys/quotas/rate-limit/q", {"rate": 1, "path": "kv"})
        assert await statuses("/v1/kv/a") == [404, 429, 429]
        assert await statuses("/v1/kv2/a") == [404, 404, 404]
    await ask(replay, "DELETE", "sys/quotas/rate-limit/q")
    assert await statuses("/v1/kv/a") == [404, 404, 404]
    for rate in ("nan", "inf", 0):
        assert (await post(replay, "sys/quotas/rate-limit/q", {"rate": rate}, replay.known["root"]))[0] == 400
