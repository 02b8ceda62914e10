"""What a token does not give: more by way of a role, a place to pour bytes into, a seal from elsewhere."""

import io

from kms_replay import ask, post, unsealed

from strongroom.messages import Peer, Request

MAKER = 'path "auth/token/create*" { capabilities = ["create", "update"] }'
STRONG = 'path "*" { capabilities = ["create", "read", "update", "sudo"] }'


async def maker(replay):
    """Return a token that may make tokens; a policy `strong` is there, too."""
    await ask(replay, "PUT", "sys/policies/acl/maker", {"policy": MAKER})
    await ask(replay, "PUT", "sys/policies/acl/strong", {"policy": STRONG})
    return (await ask(replay, "POST", "auth/token/create", {"policies": ["maker"]}))["auth"]["client_token"]


async def test_a_role_without_lists_gives_nobody_more_than_it_has(tmp_path):
    """Seen from OpenBao, as the next one."""
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
    weak = await maker(replay)
    for name in ("snapshot", "snapshot-force"):
        body, path = Pouring(), f"/v1/sys/storage/raft/{name}"
        request = Request("POST", path, path, "", {"x-vault-token": weak}, (), Peer("127.0.0.1", 1))
        assert (await replay.pipeline(request, body)).status == 403
        assert not body.taken


async def test_a_token_bound_to_an_address_does_not_seal_from_another(tmp_path):
    replay = await unsealed(tmp_path)
    await maker(replay)
    await ask(replay, "POST", "auth/token/roles/far", {"allowed_policies": "strong", "token_bound_cidrs": "10.0.0.0/8"})
    token = (await ask(replay, "POST", "auth/token/create/far", {}))["auth"]["client_token"]
    assert (await post(replay, "sys/seal", {}, token))[0] == 403
    assert replay.core.unsealed is not None
    assert (await post(replay, "sys/seal", {}, replay.known["root"]))[0] == 204
