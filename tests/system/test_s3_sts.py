"""Users, sessions and bucket policies against a running server, with boto3 and minio-py."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from minio import MinioAdmin
from minio.credentials import StaticProvider
from s3_process import S3Process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = S3Process(tmp_path_factory.mktemp("sts")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def admin(server):
    found = MinioAdmin(
        endpoint=f"127.0.0.1:{server.port}", credentials=StaticProvider("minio", "minio123"), secure=False
    )
    found.user_add("alice", "alicesecret")
    found.attach_policy(["readwrite"], user="alice")
    found.user_add("bob", "bobsecret1")
    return found


def client(server, service, key, secret, token=None):
    return boto3.client(
        service,
        endpoint_url=server.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        region_name="us-east-1",
    )


def code(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


def test_a_session_may_do_at_most_what_its_user_may(server, admin):
    narrow = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"}],
    }
    alice = client(server, "s3", "alice", "alicesecret")
    alice.create_bucket(Bucket="sessions")
    alice.put_object(Bucket="sessions", Key="k", Body=b"x")
    taken = client(server, "sts", "alice", "alicesecret").assume_role(
        RoleArn="arn:aws:iam::1:role/any", RoleSessionName="any", Policy=json.dumps(narrow), DurationSeconds=900
    )["Credentials"]
    session = client(server, "s3", taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
    assert session.get_object(Bucket="sessions", Key="k")["Body"].read() == b"x"
    assert code(session.put_object, Bucket="sessions", Key="k", Body=b"y") == "AccessDenied"
    without = client(server, "s3", taken["AccessKeyId"], taken["SecretAccessKey"])
    assert code(without.get_object, Bucket="sessions", Key="k") == "InvalidTokenId"
    again = client(server, "sts", taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
    assert code(again.assume_role, RoleArn="arn:aws:iam::1:role/any", RoleSessionName="any") == "AccessDenied"


def test_bad_requests_are_named(server, admin):
    sts = client(server, "sts", "alice", "alicesecret")
    role = {"RoleArn": "arn:aws:iam::1:role/any", "RoleSessionName": "any"}
    assert code(sts.assume_role, **role, DurationSeconds=604801) == "InvalidParameterValue"
    assert code(sts.assume_role, **role, Policy="not json") == "XMinioMalformedIAMPolicy"
    assert code(client(server, "sts", "alice", "wrong-secret").assume_role, **role) == "SignatureDoesNotMatch"
    assert code(sts.get_caller_identity) == "InvalidAction"


def test_users_survive_a_restart_and_end_when_removed(server, admin):
    server.stop()
    server.start()
    bob = client(server, "s3", "bob", "bobsecret1")
    assert code(bob.list_buckets) == "AccessDenied"
    admin.attach_policy(["readwrite"], user="bob")
    bob.list_buckets()
    admin.user_disable("bob")
    assert code(bob.list_buckets) in {"InvalidAccessKeyId", "AccessDenied"}
    admin.user_remove("bob")
    assert code(bob.list_buckets) == "InvalidAccessKeyId"
    assert json.loads(admin.user_list())["alice"]["policyName"] == "readwrite"
