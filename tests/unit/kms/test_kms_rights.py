"""What a token does not give: a place to pour bytes into, a seal from elsewhere."""

import io

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
    weak = (await ask(replay, "POST", "auth/token/create", {"policies": ["default"]}))["auth"]["client_token"]
    for name in ("snapshot", "snapshot-force"):
        body, path = Pouring(), f"/v1/sys/storage/raft/{name}"
        request = Request("POST", path, path, "", {"x-vault-token": weak}, (), Peer("127.0.0.1", 1))
        assert (await replay.pipeline(request, body)).status == 403
        assert not body.taken


async def test_a_token_bound_to_an_address_does_not_seal_from_another(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "PUT", "sys/policies/acl/strong", {"policy": STRONG})
    await ask(replay, "POST", "auth/token/roles/far", {"allowed_policies": "strong", "token_bound_cidrs": "10.0.0.0/8"})
    token = (await ask(replay, "POST", "auth/token/create/far", {}))["auth"]["client_token"]
    assert (await post(replay, "sys/seal", {}, token))[0] == 403
    assert replay.core.unsealed is not None
    assert (await post(replay, "sys/seal", {}, replay.known["root"]))[0] == 204
