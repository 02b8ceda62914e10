"""Admin calls at the same moment: none undoes what another one did."""

import asyncio
import hashlib
import json
import time

import pytest
from s3_desk import ROOT, V3, Server, Whole

from strongroom.messages import Peer, Request
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.iam.records import User
from strongroom.s3.domain.principals import Credential
from strongroom.s3.handlers.iam_store import ClearEntries, IamStore, with_policies
from strongroom.s3.storage.files import open_store
from strongroom.s3.wire import sigv2

NAMES = [f"policy-{number}" for number in range(8)]
DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"}],
}


class SlowSeal(ClearEntries):
    """A key service that takes its time, the longer the earlier it is asked."""

    def __init__(self):
        self.wait = 0.2

    async def seal(self, name, plaintext):
        self.wait *= 0.7
        await asyncio.sleep(self.wait)
        return plaintext


@pytest.fixture
async def server():
    server = Server()
    await server.add_user()
    for name in NAMES:
        await server.call("PUT", V3 + "add-canned-policy", json.dumps(DOCUMENT).encode(), name=name)
    server.iam._seal = SlowSeal()
    return server


async def test_policies_attached_at_once_are_all_attached(server):
    calls = [
        server.sealed("POST", V3 + "idp/builtin/policy/attach", {"user": "alice", "policies": [name]}) for name in NAMES
    ]
    assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
    assert server.directory.users["alice"].policies == tuple(NAMES)


async def test_a_user_that_is_disabled_stays_so(server):
    await asyncio.gather(
        server.sealed("POST", V3 + "idp/builtin/policy/attach", {"user": "alice", "policies": NAMES[:1]}),
        server.call("PUT", V3 + "set-user-status", accessKey="alice", status="disabled"),
    )
    assert not server.directory.users["alice"].enabled
    assert server.directory.users["alice"].policies == tuple(NAMES[:1])


async def test_sigv2_signs_no_admin_call(server):
    """Its signature covers neither the arguments nor the body: who hears one call could make another."""
    path, date = V3 + "remove-user", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    seal = sigv2.signature(ROOT[1], sigv2.string_to_sign("DELETE", {"date": date}, path))
    headers = {"host": "127.0.0.1:9000", "date": date, "authorization": f"AWS {ROOT[0]}:{seal}"}
    headers["x-amz-content-sha256"] = hashlib.sha256(b"").hexdigest()
    query = "accessKey=alice"
    for more in ({}, {"x-amz-content-sha256": None}):
        sent = {name: value for name, value in {**headers, **more}.items() if value is not None}
        if "x-amz-content-sha256" in sent:
            text = sigv2.string_to_sign("DELETE", sent, path)
            sent["authorization"] = f"AWS {ROOT[0]}:{sigv2.signature(ROOT[1], text)}"
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        request = Request("DELETE", f"{path}?{query}", path, query, sent, raw, Peer("127.0.0.1", 1))
        assert (await server.entrance(request, Whole(b""))).status == 403
    assert "alice" in server.directory.users


async def test_two_processes_do_not_undo_one_another(tmp_path):
    first, second = await open_store(tmp_path / "data"), await open_store(tmp_path / "data", worker=True)
    root = Credential(*ROOT, root=True)
    stores = [IamStore(Directory(root), store, SlowSeal(), time.time) for store in (first, second)]
    await stores[0].save("users", "alice", User(secret="alicesecret"))

    async def attach(iam, name):
        async with iam.alone():
            user, _ = with_policies(iam.directory.users["alice"], [name], attach=True)
            await iam.save("users", "alice", user)

    try:
        await asyncio.gather(*[attach(stores[number % 2], name) for number, name in enumerate(NAMES)])
        for iam in stores:
            await iam.reload()
            assert iam.directory.users["alice"].policies == tuple(NAMES)
    finally:
        await second.close()
        await first.close()
