"""The admin API called with real signatures and containers, on a memory store."""

import json

import pytest
from s3_desk import KMS, ROOT, V3, Server

from strongroom.crypto import madmin
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.handlers.iam_store import ClearEntries, IamStore
from strongroom.s3.wire import archives


@pytest.fixture
def server():
    return Server()


def opened(answer, who=ROOT):
    assert answer.status == 200, answer
    return json.loads(madmin.open(who[1].encode(), answer.body))


def code(answer):
    return answer.status, json.loads(answer.body)["Code"]


def policy(actions, resource):
    statement = {"Effect": "Allow", "Action": actions, "Resource": [resource]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


async def test_users_live_and_survive_a_restart(server):
    alice = await server.add_user()
    assert opened(await server.call("GET", V3 + "list-users"))["alice"]["status"] == "enabled"
    assert (await server.call("PUT", V3 + "set-user-status", accessKey="alice", status="disabled")).status == 200
    assert json.loads((await server.call("GET", V3 + "user-info", accessKey="alice")).body)["status"] == "disabled"
    again = IamStore(Directory(server.directory.root), server.system, ClearEntries(), lambda: 0)
    await again.load()
    assert again.directory.users == server.directory.users
    assert code(await server.call("GET", V3 + "user-info", who=alice, accessKey="alice"))[0] == 403
    assert (await server.call("DELETE", V3 + "remove-user", accessKey="alice")).status == 200
    assert code(await server.call("DELETE", V3 + "remove-user", accessKey="alice")) == (404, "XMinioAdminNoSuchUser")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"secretKey":"aaaaaaaaaa"}', (400, "XMinioAdminConfigBadJSON")),
        (b"abc", (400, "XMinioAdminConfigBadJSON")),
        (madmin.seal(b"another", b"{}", madmin.Scheme.PBKDF2_AES_GCM), (400, "XMinioAdminConfigBadJSON")),
        (madmin.seal(b"minio123", b"[]", madmin.Scheme.PBKDF2_AES_GCM), (400, "XMinioAdminConfigBadJSON")),
        (
            madmin.seal(b"minio123", b'{"secretKey":"short"}', madmin.Scheme.PBKDF2_AES_GCM),
            (400, "XMinioAdminInvalidSecretKey"),
        ),
        (madmin.seal(b"minio123", b'{"secretKey":7}', madmin.Scheme.PBKDF2_AES_GCM), (400, "XMinioAdminConfigBadJSON")),
    ],
)
async def test_a_bad_add_user_changes_nothing(server, body, found):
    assert code(await server.call("PUT", V3 + "add-user", body, accessKey="bob")) == found
    assert server.directory.users == {}


async def test_policies_are_attached_and_decide(server):
    alice = await server.add_user()
    assert code(await server.call("GET", V3 + "info", who=alice)) == (403, "AccessDenied")
    attach, detach = V3 + "idp/builtin/policy/attach", V3 + "idp/builtin/policy/detach"
    wish = {"policies": ["consoleAdmin"], "user": "alice"}
    assert opened(await server.sealed("POST", attach, wish))["policiesAttached"] == ["consoleAdmin"]
    assert code(await server.sealed("POST", attach, wish)) == (400, "XMinioAdminPolicyChangeAlreadyApplied")
    assert (await server.call("GET", V3 + "info", who=alice)).status == 200
    found = opened(await server.call("GET", V3 + "idp/builtin/policy-entities"))
    assert list(found) == ["timestamp", "policyMappings"]
    assert found["policyMappings"] == [{"policy": "consoleAdmin", "users": ["alice"], "groups": None}]
    found = opened(await server.call("GET", V3 + "idp/builtin/policy-entities", user="alice"))
    assert found["userMappings"] == [{"user": "alice", "policies": ["consoleAdmin"]}]
    assert opened(await server.sealed("POST", detach, wish))["policiesDetached"] == ["consoleAdmin"]
    missing = {"policies": ["nopol"], "user": "alice"}
    assert code(await server.sealed("POST", attach, missing)) == (404, "XMinioAdminNoSuchPolicy")
    assert (
        await server.call(
            "PUT", V3 + "set-user-or-group-policy", policyName="readonly", userOrGroup="alice", isGroup="false"
        )
    ).status == 200
    assert server.directory.users["alice"].policies == ("readonly",)


async def test_own_policies(server):
    text = policy(["s3:GetObject"], "arn:aws:s3:::bk1/*")
    assert (await server.call("PUT", V3 + "add-canned-policy", text, name="getonly")).status == 200
    listed = json.loads((await server.call("GET", V3 + "list-canned-policies")).body)
    assert sorted(listed) == ["consoleAdmin", "diagnostics", "getonly", "readonly", "readwrite", "writeonly"]
    shown = json.loads((await server.call("GET", V3 + "info-canned-policy", name="getonly", v="2")).body)
    assert list(shown) == ["PolicyName", "Policy", "CreateDate", "UpdateDate"]
    assert shown["Policy"] == json.loads(text)
    await server.add_user()
    await server.sealed("POST", V3 + "idp/builtin/policy/attach", {"policies": ["getonly"], "user": "alice"})
    assert code(await server.call("DELETE", V3 + "remove-canned-policy", name="getonly")) == (
        400,
        "XMinioIAMPolicyInUse",
    )
    await server.call("DELETE", V3 + "remove-user", accessKey="alice")
    for _ in range(2):
        assert (await server.call("DELETE", V3 + "remove-canned-policy", name="getonly")).status == 200
    assert code(await server.call("PUT", V3 + "add-canned-policy", b"Hello", name="bad")) == (
        400,
        "XMinioMalformedIAMPolicy",
    )


async def test_groups(server):
    await server.add_user()
    members = {"group": "devs", "members": ["alice"], "groupStatus": "", "isRemove": False}
    assert (await server.call("PUT", V3 + "update-group-members", json.dumps(members).encode())).status == 200
    assert json.loads((await server.call("GET", V3 + "groups")).body) == ["devs"]
    await server.call("PUT", V3 + "set-group-status", group="devs", status="disabled")
    info = json.loads((await server.call("GET", V3 + "group", group="devs")).body)
    assert info | {"updatedAt": ""} == {
        "name": "devs",
        "status": "disabled",
        "members": ["alice"],
        "policy": "",
        "updatedAt": "",
    }
    empty = json.dumps({**members, "members": [], "isRemove": True}).encode()
    assert code(await server.call("PUT", V3 + "update-group-members", empty)) == (400, "XMinioAdminGroupNotEmpty")
    await server.call("DELETE", V3 + "remove-user", accessKey="alice")
    assert (await server.call("PUT", V3 + "update-group-members", empty)).status == 200
    assert code(await server.call("GET", V3 + "group", group="devs")) == (404, "XMinioAdminNoSuchGroup")
    assert code(await server.call("PUT", V3 + "update-group-members", json.dumps(members).encode())) == (
        404,
        "XMinioAdminNoSuchUser",
    )


async def test_service_accounts_narrow_their_parent(server):
    alice = await server.add_user()
    await server.sealed("POST", V3 + "idp/builtin/policy/attach", {"policies": ["consoleAdmin"], "user": "alice"})
    narrow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["admin:ServerInfo"]}]}
    made = opened(
        await server.sealed("PUT", V3 + "add-service-account", {"policy": narrow, "name": "ci"}, alice), alice
    )["credentials"]
    account = (made["accessKey"], made["secretKey"])
    assert (await server.call("GET", V3 + "info", who=account)).status == 200
    assert code(await server.call("GET", V3 + "groups", who=account)) == (403, "AccessDenied")
    listed = opened(await server.call("GET", V3 + "list-service-accounts", user="alice"))["accounts"]
    assert [entry["accessKey"] for entry in listed] == [account[0]]
    assert (
        await server.sealed("POST", V3 + "update-service-account", {"newStatus": "off"}, alice, accessKey=account[0])
    ).status == 204
    assert code(await server.call("GET", V3 + "info", who=account))[0] == 403
    assert (await server.call("DELETE", V3 + "delete-service-account", who=alice, accessKey=account[0])).status == 204
    assert code(await server.call("DELETE", V3 + "delete-service-account", who=alice, accessKey=account[0]))[0] == 404
    other = await server.add_user("bob", "bobsecret")
    assert code(await server.sealed("PUT", V3 + "add-service-account", {"targetUser": "alice"}, other)) == (
        403,
        "AccessDenied",
    )


async def test_keys(server):
    assert json.loads((await server.call("GET", KMS + "status")).body)["name"] == "MinIO KES"
    assert (await server.call("POST", KMS + "key/create", **{"key-id": "team-1"})).status == 200
    assert code(await server.call("POST", KMS + "key/create", **{"key-id": "team-1"})) == (409, "XMinioKMSKeyExists")
    assert [key["name"] for key in json.loads((await server.call("GET", KMS + "key/list", pattern="team")).body)] == [
        "team-1"
    ]
    assert (
        json.loads((await server.call("POST", KMS + "key/disable", **{"key-id": "team-1"})).body)["state"] == "disable"
    )
    assert (
        json.loads((await server.call("DELETE", KMS + "key/delete", **{"key-id": "team-1", "after": "7d"})).body)["in"]
        == 604800
    )
    assert code(await server.call("DELETE", KMS + "key/delete", **{"key-id": "team-1", "after": "soon"})) == (
        400,
        "XMinioAdminInvalidArgument",
    )


async def test_key_rights_are_per_key(server):
    alice = await server.add_user()
    text = policy(["kms:CreateKey", "kms:ListKeys"], "arn:minio:kms:::team-*")
    await server.call("PUT", V3 + "add-canned-policy", text, name="team")
    await server.sealed("POST", V3 + "idp/builtin/policy/attach", {"policies": ["team"], "user": "alice"})
    assert (await server.call("POST", KMS + "key/create", who=alice, **{"key-id": "team-1"})).status == 200
    assert code(await server.call("POST", KMS + "key/create", who=alice, **{"key-id": "k2"})) == (403, "AccessDenied")
    assert [
        key["name"] for key in json.loads((await server.call("GET", KMS + "key/list", who=alice, pattern="*")).body)
    ] == ["team-1"]
    assert code(await server.call("GET", KMS + "status", who=alice)) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arn:minio:kms:::a/b", "invalid resource"),
        ("arn:minio:kms:::a.b", "invalid resource"),
        ("arn:aws:s3:::b/*", "resource 'arn:aws:s3:::b/*' type is not KMS"),
    ],
)
async def test_kms_resources_in_policies(server, text, message):
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["kms:CreateKey"], "Resource": [text]}],
    }
    answer = await server.call("PUT", V3 + "add-canned-policy", json.dumps(policy).encode(), name="bad")
    assert code(answer) == (400, "XMinioMalformedIAMPolicy")
    assert json.loads(answer.body)["Message"] == message


async def test_restart_is_answered_first(server):
    dry = await server.call("POST", V3 + "service", **{"action": "restart", "dry-run": "true", "type": "2"})
    assert json.loads(dry.body) == {"action": "restart", "dryRun": True, "results": [{"host": "127.0.0.1:9000"}]}
    assert server.control.done == []
    assert (await server.call("POST", V3 + "service", action="restart")).body == b""
    assert server.control.done == ["restart"]
    assert code(await server.call("POST", V3 + "service", action="explode")) == (400, "MalformedPOSTRequest")


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", V3 + "foo", 426),
        ("GET", "/minio/admin/v2/info", 426),
        ("POST", V3 + "service", 426),
        ("GET", KMS + "foo", 400),
        ("GET", KMS + "key/list", 400),
    ],
)
async def test_unknown_calls(server, method, path, found):
    assert (await server.call(method, path)).status == found


async def test_anonymous_and_wrong_signatures_are_refused(server):
    assert code(await server.call("GET", KMS + "status", who=None)) == (403, "AccessDenied")
    assert code(await server.call("GET", KMS + "status", who=("minio", "wrong-secret"))) == (
        403,
        "SignatureDoesNotMatch",
    )
    assert code(await server.call("GET", KMS + "status", who=("nobody", "wrong-secret"))) == (403, "InvalidAccessKeyId")


async def test_an_archive_brings_changed_built_in_policies_and_leaves_the_others(server):
    own = policy(["s3:GetObject"], "arn:aws:s3:::only-here/*")
    await server.call("PUT", V3 + "add-canned-policy", own, name="readonly")
    archive = (await server.call("GET", V3 + "export-iam")).body
    fresh = Server()
    told = json.loads((await fresh.call("PUT", V3 + "import-iam", archive)).body)
    assert told == {"added": {"policies": ["readonly"]}, "skipped": {}, "failed": []}
    assert json.loads(fresh.directory.document("readonly")) == json.loads(own)
    told = json.loads((await fresh.call("PUT", V3 + "import-iam-v2", archive)).body)
    assert told == {"added": {}, "skipped": {"policies": ["readonly"]}, "failed": []}


async def test_an_archive_makes_nobody_root(server):
    alice = await server.add_user()
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["admin:ImportIAM"]}]})
    await server.call("PUT", V3 + "add-canned-policy", text.encode(), name="importer")
    await server.sealed("POST", V3 + "idp/builtin/policy/attach", {"policies": ["importer"], "user": "alice"})
    members = {
        "iam-assets/users.json": json.dumps({"minio": {"secretKey": "taken-over"}}).encode(),
        "iam-assets/svcaccts.json": json.dumps({"rootkey": {"parent": "minio", "secretKey": "12345678"}}).encode(),
    }
    answer = await server.call("PUT", V3 + "import-iam", archives.pack(members), who=alice)
    told = json.loads(answer.body)
    assert (told["added"], told["skipped"]) == ({}, {"users": ["minio"]})
    assert [one["name"] for one in told["failed"]] == ["rootkey"]
    assert code(await server.call("GET", V3 + "export-iam", who=alice)) == (403, "AccessDenied")


async def test_no_user_is_called_as_an_account_is(server):
    """A request of the account would have been one of the user, and the other way round."""
    account = {"accessKey": "svcaccount", "secretKey": "svcsecret"}
    assert (await server.sealed("PUT", V3 + "add-service-account", account)).status == 200
    answer = await server.sealed("PUT", V3 + "add-user", {"secretKey": "something"}, accessKey="svcaccount")
    assert code(answer) == (400, "XMinioAdminInvalidAccessKey")
    members = {"iam-assets/users.json": json.dumps({"svcaccount": {"secretKey": "something"}}).encode()}
    told = json.loads((await server.call("PUT", V3 + "import-iam", archives.pack(members))).body)
    assert [one["name"] for one in told["failed"]] == ["svcaccount"]
    assert server.directory.find("svcaccount").secret == "svcsecret"


async def test_an_archive_takes_no_account_away_from_root(server):
    alice = await server.add_user()
    text = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["admin:ImportIAM"]}]})
    await server.call("PUT", V3 + "add-canned-policy", text.encode(), name="importer")
    await server.sealed("POST", V3 + "idp/builtin/policy/attach", {"policies": ["importer"], "user": "alice"})
    await server.sealed("PUT", V3 + "add-service-account", {"accessKey": "rootkey", "secretKey": "rootsecret"})
    record = {"rootkey": {"parent": "alice", "secretKey": "12345678"}}
    archive = archives.pack({"iam-assets/svcaccts.json": json.dumps(record).encode()})
    told = json.loads((await server.call("PUT", V3 + "import-iam", archive, who=alice)).body)
    assert [one["name"] for one in told["failed"]] == ["rootkey"]
    assert server.directory.accounts["rootkey"].parent == ROOT[0]


async def test_an_archive_of_buckets_needs_the_rights_of_its_documents(server):
    alice = await server.add_user()
    statement = {"Effect": "Allow", "Action": ["admin:ImportBucketMetadata"]}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
    await server.call("PUT", V3 + "add-canned-policy", text, name="importer")
    await server.sealed("POST", V3 + "idp/builtin/policy/attach", {"policies": ["importer"], "user": "alice"})
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    archive = archives.pack({"own/tagging.xml": tags, "own/quota.json": b'{"quota": 5}'})
    told = json.loads((await server.call("PUT", V3 + "import-bucket-metadata", archive, who=alice)).body)
    assert list(told["buckets"]["own"]["failed"]) == ["bucket"]
    told = json.loads((await server.call("PUT", V3 + "import-bucket-metadata", archive)).body)
    assert told["buckets"]["own"] == {"created": True, "applied": ["tagging.xml", "quota.json"], "failed": {}}
    told = json.loads((await server.call("PUT", V3 + "import-bucket-metadata", archive, who=alice)).body)
    assert sorted(told["buckets"]["own"]["failed"]) == ["quota.json", "tagging.xml"]
    assert code(await server.call("PUT", V3 + "import-bucket-metadata", archive, bucket="other"))[0] == 400
    strange = archives.pack({f"{name}/tagging.xml": tags for name in ("minio", "../..", "A_B", "x" * 70)})
    told = json.loads((await server.call("PUT", V3 + "import-bucket-metadata", strange)).body)
    assert len(told["buckets"]) == 4
    assert all(list(one["failed"]) == ["bucket"] for one in told["buckets"].values())
    assert code(await server.call("GET", V3 + "export-bucket-metadata", who=alice)) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("GET", "user-info?accessKey=%FF"),
        ("GET", "info-canned-policy?name=%FF"),
        ("PUT", "set-user-status?accessKey=%FF&status=enabled"),
    ],
)
async def test_arguments_that_are_not_utf_8_are_refused(server, method, call):
    assert (await server.call(method, V3 + call)).status == 400
