"""Nobody gives itself more than it has by way of the admin API."""

import json

import pytest
from s3_desk import ROOT, V3, Server

from strongroom.crypto import madmin
from strongroom.s3.domain.iam.records import Account, User

READ = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}],
    }
)
MAKERS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["admin:CreateServiceAccount", "admin:UpdateServiceAccount"]}],
}
ALICE, NARROW, BOB = ("alice", "alicesecret"), ("narrow", "narrowsecret"), ("bob", "bobsecret1")


@pytest.fixture
async def server():
    server = Server()
    await server.iam.save("users", "alice", User(secret=ALICE[1], policies=("readwrite",)))
    await server.iam.save("accounts", "narrow", Account(secret=NARROW[1], parent="alice", policy=READ))
    await server.iam.save("accounts", "rootly", Account(secret="rootlysecret", parent=ROOT[0]))
    answer = await server.call("PUT", V3 + "add-canned-policy", json.dumps(MAKERS).encode(), name="makers")
    assert answer.status == 200
    await server.iam.save("users", "bob", User(secret=BOB[1], policies=("makers",)))
    return server


def container(record, who):
    return madmin.seal(who[1].encode(), json.dumps(record).encode())


async def status(server, method, path, record, who, **query):
    return (await server.call(method, V3 + path, container(record, who), who=who, **query)).status


async def test_a_narrowed_account_does_not_widen_itself(server):
    widen = {"newPolicy": {}}
    assert await status(server, "POST", "update-service-account", widen, NARROW, accessKey="narrow") == 403
    assert server.directory.accounts["narrow"].policy == READ


async def test_a_narrowed_account_does_not_make_a_wide_one(server):
    assert await status(server, "PUT", "add-service-account", {"accessKey": "wide-one"}, NARROW) == 403
    assert "wide-one" not in server.directory.accounts


async def test_a_narrowed_account_does_not_take_over_its_sisters(server):
    await server.iam.save("accounts", "sister", Account(secret="sistersecret", parent="alice"))
    record = {"newSecretKey": "taken-over1"}
    assert await status(server, "POST", "update-service-account", record, NARROW, accessKey="sister") == 403
    assert (await server.call("DELETE", V3 + "delete-service-account", who=NARROW, accessKey="sister")).status == 403


async def test_the_user_itself_still_may(server):
    assert await status(server, "PUT", "add-service-account", {"accessKey": "another"}, ALICE) == 200
    changes = {"newPolicy": {}}
    assert await status(server, "POST", "update-service-account", changes, ALICE, accessKey="narrow") == 204


async def test_whoever_may_make_accounts_makes_none_of_root(server):
    wish = {"targetUser": ROOT[0], "accessKey": "rootish"}
    assert await status(server, "PUT", "add-service-account", wish, BOB) == 403
    record = {"newSecretKey": "taken-over1"}
    assert await status(server, "POST", "update-service-account", record, BOB, accessKey="rootly") == 403
    assert await status(server, "PUT", "add-service-account", {"targetUser": "alice", "accessKey": "hers"}, BOB) == 200


async def test_accountinfo_tells_of_no_bucket_that_the_caller_may_not_list(server):
    await server.system.create_bucket("secret-tenant")
    seen = json.loads((await server.call("GET", V3 + "accountinfo", who=BOB)).body)
    assert seen["Buckets"] == []
    seen = json.loads((await server.call("GET", V3 + "accountinfo", who=ALICE)).body)
    assert [bucket["name"] for bucket in seen["Buckets"]] == ["secret-tenant"]


@pytest.mark.parametrize(("action", "remove"), [("admin:AddUserToGroup", False), ("admin:RemoveUserFromGroup", True)])
async def test_members_are_added_and_removed_by_rights_of_their_own(server, action, remove):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": [action]}]}
    await server.call("PUT", V3 + "add-canned-policy", json.dumps(policy).encode(), name="members")
    await server.iam.save("users", "bob", User(secret=BOB[1], policies=("members",)))
    members = {"group": "devs", "members": ["alice"], "groupStatus": "", "isRemove": False}
    assert (await server.call("PUT", V3 + "update-group-members", json.dumps(members).encode())).status == 200
    for asked in (False, True):
        body = json.dumps({**members, "isRemove": asked}).encode()
        answer = await server.call("PUT", V3 + "update-group-members", body, who=BOB)
        assert answer.status == (200 if asked is remove else 403)
