"""Listeners behind proxies, with headers of their own, each with its own switches."""

import asyncio
import json

import pytest
from kms_replay import Bytes, ask, unsealed

from strongroom.config.kms import kms_settings
from strongroom.errors import BadSettings
from strongroom.kms.handlers.front import Front
from strongroom.kms.handlers.pipeline import Pipeline
from strongroom.kms.settings import Listener
from strongroom.messages import Peer, Request, Response

OURS = (("Content-Type", "text/plain"), ("Cache-Control", "no-store"))


def front(status=200, **more):
    seen = []

    def handler(request, body):
        seen.append(request.peer.address)
        return Response(status, OURS, b"x")

    return Front(handler, Listener(**more)), seen


def send(handler, headers=(), address="10.0.0.7", path="/v1/sys/health", body=b""):
    low = {name.lower(): value for name, value in dict(headers).items()}
    answer = handler(Request("PUT" if body else "GET", path, path, "", low, (), Peer(address, 4000)), Bytes(body))
    if isinstance(answer, Response):
        return answer

    async def wait():
        return await answer

    return asyncio.run(wait())


@pytest.mark.parametrize(
    ("sent", "address", "skips", "wanted"),
    [
        ("1.2.3.4", "10.0.0.7", 0, "1.2.3.4"),
        ("1.2.3.4, 5.6.7.8", "10.0.0.7", 0, "5.6.7.8"),
        ("1.2.3.4,5.6.7.8", "10.0.0.7", 1, "1.2.3.4"),
        ("2001:db8::1", "::ffff:10.0.0.7", 0, "2001:db8::1"),
        ("1.2.3.4", "11.0.0.7", 0, "11.0.0.7"),
        (None, "10.0.0.7", 0, "10.0.0.7"),
    ],
)
def test_a_trusted_proxy_names_the_client(sent, address, skips, wanted):
    handler, seen = front(forwarded_from=("10.0.0.0/8",), forwarded_skips=skips)
    assert send(handler, {"X-Forwarded-For": sent} if sent else {}, address).status == 200
    assert seen == [wanted]


@pytest.mark.parametrize(
    ("sent", "address", "skips", "words"),
    [
        ("1.2.3.4", "10.0.0.7", 1, "hops to skip (1) would skip before earliest chain link (chain length 1)"),
        ("1.2.3.4, who", "10.0.0.7", 0, "hop 2 is no address"),
        ("", "10.0.0.7", 0, "hop 1 is no address"),
        ("1.2.3.4", "11.0.0.7", 0, "client address not authorized for x-forwarded-for"),
        (None, "10.0.0.7", 0, "missing x-forwarded-for header"),
    ],
)
def test_what_a_proxy_must_not_send(sent, address, skips, words):
    more = {"forwarded_required": True, "forwarded_strict": True, "forwarded_skips": skips}
    handler, seen = front(forwarded_from=("10.0.0.0/8",), **more)
    answer = send(handler, {} if sent is None else {"X-Forwarded-For": sent}, address)
    assert answer.status == 400
    assert words in json.loads(answer.body)["errors"][0]
    assert not seen


@pytest.mark.parametrize(("status", "over"), [(200, "d"), (403, "four"), (404, "exact")])
def test_a_listener_s_headers(status, over):
    headers = {
        "default": {"X-Over": "d", "cache-control": "public"},
        "4xx": {"X-Over": "four"},
        "404": {"x-over": "exact"},
    }
    handler, _ = front(status, response_headers=headers)
    found = {name.lower(): value for name, value in send(handler).headers}
    assert found == {"content-type": "text/plain", "cache-control": "public", "x-over": over}


def test_bound_tokens_follow_the_proxy_s_word(tmp_path):
    async def bound():
        replay = await unsealed(tmp_path)
        role = {"allowed_policies": ["ops"], "token_bound_cidrs": ["1.2.3.4"]}
        await ask(replay, "PUT", "sys/policies/acl/ops", {"policy": 'path "sys/mounts" { capabilities = ["read"] }'})
        await ask(replay, "POST", "auth/token/roles/r", role)
        made = await ask(replay, "POST", "auth/token/create/r", {"policies": ["ops"]})
        return replay, made["auth"]["client_token"]

    replay, token = asyncio.run(bound())
    listener = Listener(forwarded_from=("10.0.0.0/8",))
    handler = Front(Pipeline(replay.core, replay.pipeline.sealing, listener), listener)
    for sent, status in (("1.2.3.4", 200), ("1.2.3.5", 403), ("1.2.3.4, 9.9.9.9", 403)):
        answer = send(handler, {"X-Forwarded-For": sent, "X-Vault-Token": token}, path="/v1/sys/mounts")
        assert answer.status == status


def test_each_listener_has_its_own_switches(tmp_path):
    replay = asyncio.run(unsealed(tmp_path))
    outer = Listener(disable_unauthed_rekey=True)
    inner = Listener(unauthenticated_metrics=True)
    handlers = [Pipeline(replay.core, replay.pipeline.sealing, listener) for listener in (outer, inner)]
    body = b'{"secret_shares": 1, "secret_threshold": 1}'
    assert [send(one, path="/v1/sys/rekey/init", body=body).status for one in handlers] == [403, 200]
    assert [send(one, path="/v1/sys/rekey/verify", body=body).status for one in handlers] == [403, 400]
    assert [send(one, path="/v1/sys/metrics").status for one in handlers] == [403, 400]


def settings(tmp_path, members):
    path = tmp_path / "kms.hcl"
    path.write_text(f'storage "inmem" {{}}\nlistener "tcp" {{\n tls_disable = true\n {members}\n}}\n')
    return kms_settings([str(path)], {})


def test_the_configuration(tmp_path):
    found = settings(
        tmp_path,
        """
        x_forwarded_for_authorized_addrs = "10.0.0.0/8, 127.0.0.1"
        x_forwarded_for_hop_skips = "1"
        x_forwarded_for_reject_not_present = true
        custom_response_headers {
          "default" = { "X-One" = ["a", "b"], "Strict-Transport-Security" = ["max-age=1"], "X-Vault-Own" = ["c"] }
          "4xx" = { "X-Two" = ["c"] }
        }
        """,
    )
    listener = found.listeners[0]
    assert listener.forwarded_from == ("10.0.0.0/8", "127.0.0.1")
    assert (listener.forwarded_skips, listener.forwarded_required, listener.forwarded_strict) == (1, True, False)
    assert listener.response_headers == {
        "default": {"X-One": "a; b", "Strict-Transport-Security": "max-age=1"},
        "4xx": {"X-Two": "c"},
    }
    assert "X-Vault-Own is the server's own" in found.warnings[0]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ('x_forwarded_for_authorized_addrs = ["zz"]', "'zz' is neither an address"),
        ("x_forwarded_for_hop_skips = -1", "cannot be negative"),
        ('proxy_protocol_behavior = "use_always"', "X-Forwarded-For"),
        ('custom_response_headers { "9xx" = { "X-A" = ["d"] } }', "write default, a class such as 4xx"),
        ('custom_response_headers { "default" = { "X-A" = "d" } }', "headers must be given in a list of strings"),
        ('custom_response_headers { "default" = { "X-A" = ["d\\r\\nX-B: c"] } }', "not a header of plain text"),
        ('custom_response_headers { "default" = "X-A" }', "custom_response_headers"),
    ],
)
def test_bad_configuration(tmp_path, members, words):
    with pytest.raises(BadSettings, match=words):
        settings(tmp_path, members)
