"""Who may list a bucket learns that a key is missing; who may only read in it does not."""

import json

import pytest
from s3_desk import V3, Server

CASES = {
    "lister": (["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::tenant", "arn:aws:s3:::tenant/*"], 404),
    "two-statements": (["s3:ListBucket"], ["arn:aws:s3:::tenant"], 404),
    "reader": (["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::tenant/*"], 403),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_missing_key(name):
    actions, resources, status = CASES[name]
    server = Server()
    await server.system.create_bucket("tenant")
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": resources},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::tenant/*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements}).encode()
    alice = await server.add_user()
    await server.call("PUT", V3 + "add-canned-policy", document, name=name)
    await server.sealed("POST", V3 + "idp/builtin/policy/attach", {"user": "alice", "policies": [name]})
    assert (await server.call("GET", "/tenant/missing", who=alice)).status == status
