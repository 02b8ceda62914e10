"""Two worker processes: certificates, key states, jobs, users and bucket policies count in both from the answer on."""

import json
import signal
import socket
import ssl
import time
from pathlib import Path

import boto3
import kes_threads
import pytest
from botocore.config import Config
from cryptography import x509
from minio import MinioAdmin
from minio.credentials import StaticProvider
from s3_process import S3Process
from system.keys_world import signed
from system.test_s3_keys import Chain
from system.test_s3_tls import certificate
from system.test_s3_workers import READ, Both, children, wait_until, with_error

USER = ("minio", "minio123")
ROTATE = "keyrotate: {{apiVersion: v1, bucket: bkt, encryption: {{type: sse-kms, key: {key}}}}}"


@pytest.fixture
def world(tmp_path):
    """Yield a server of two workers with a key server of ours behind it."""
    (tmp_path / "keys").mkdir()
    chain = Chain(tmp_path)
    with kes_threads.running(chain.settings()) as kes:
        pair = chain.pair("s3")
        server = S3Process(
            tmp_path / "data",
            STRONGROOM_S3_WORKERS="2",
            MINIO_KMS_KES_ENDPOINT=f"https://127.0.0.1:{kes.port}",
            MINIO_KMS_KES_KEY_NAME="minio-key-1",
            MINIO_KMS_KES_KEY_FILE=str(pair.key),
            MINIO_KMS_KES_CERT_FILE=str(pair.certificate),
            MINIO_KMS_KES_CAPATH=str(chain.pair("authority").certificate),
        )
        del server.environment["MINIO_KMS_SECRET_KEY"]
        server.start()
        try:
            yield server
        finally:
            server.stop()


def admin(server, method, path, body=b""):
    status, document = signed(method, server.url + path, USER, body)
    assert status == 200, document
    return document


def key(server, verb, name):
    return admin(server, "GET" if verb == "usage" else "POST", f"/minio/kms/v1/key/{verb}?key-id={name}")


def codes(both, **arguments):
    return [with_error(one.get_object, Bucket="bkt", **arguments) for one in (both.one, both.other)]


def test_key_states_count_in_both_workers_at_once(world):
    both = Both(world)
    key(world, "create", "project")
    both.one.create_bucket(Bucket="bkt")
    under = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "project"}
    both.one.put_object(Bucket="bkt", Key="k", Body=b"data", **under)
    assert codes(both, Key="k") == ["", ""]  # both have its data key in memory
    for _ in range(3):  # whichever worker gets the command
        key(world, "disable", "project")
        assert codes(both, Key="k") == ["KMS.DisabledException"] * 2
        puts = [with_error(one.put_object, Bucket="bkt", Key="p", Body=b"", **under) for one in (both.one, both.other)]
        assert puts == ["KMS.DisabledException"] * 2
        assert [one.head_object(Bucket="bkt", Key="k")["ContentLength"] for one in (both.one, both.other)] == [4, 4]
        key(world, "enable", "project")
        assert codes(both, Key="k") == ["", ""]


def test_a_job_that_one_worker_got_is_done_and_seen_by_both(world):
    both = Both(world)
    for name in ("old", "new"):
        key(world, "create", name)
    both.one.create_bucket(Bucket="bkt")
    for number in range(40):
        client = (both.one, both.other)[number % 2]
        client.put_object(Bucket="bkt", Key=f"{number}", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="old")
    assert codes(both, Key="0") == ["", ""]
    admin(world, "POST", "/minio/admin/v3/start-job", ROTATE.format(key="new").encode())
    wait_until(lambda: key(world, "usage", "new")["objects"] == 40)
    for client in (both.one, both.other):
        assert client.head_object(Bucket="bkt", Key="1")["SSEKMSKeyId"].endswith("new")
    key(world, "disable", "old")  # nothing is under it any more
    assert codes(both, Key="0") == ["", ""]
    key(world, "disable", "new")
    assert codes(both, Key="0") == ["KMS.DisabledException"] * 2


def test_users_groups_and_bucket_policies_count_in_both_at_once(world):
    root = Both(world)
    host = world.url.removeprefix("http://")
    people = MinioAdmin(endpoint=host, credentials=StaticProvider(*USER), secure=False)
    root.one.create_bucket(Bucket="bkt")
    root.one.put_object(Bucket="bkt", Key="k", Body=b"data")
    people.user_add("eve", "eve-secret")
    eve = Both(world, "eve", "eve-secret")
    assert codes(eve, Key="k") == ["AccessDenied"] * 2
    allow = {**READ, "Statement": [{**READ["Statement"][0], "Principal": {"AWS": ["*"]}}]}
    for _ in range(3):
        root.one.put_bucket_policy(Bucket="bkt", Policy=json.dumps(allow))
        assert codes(eve, Key="k") == ["", ""]
        root.other.delete_bucket_policy(Bucket="bkt")
        assert codes(eve, Key="k") == ["AccessDenied"] * 2
    people.policy_add("look", policy=READ)
    people.group_add("readers", ["eve"])
    people.attach_policy(["look"], group="readers")
    for _ in range(3):
        assert codes(eve, Key="k") == ["", ""]
        people.group_disable("readers")
        assert codes(eve, Key="k") == ["AccessDenied"] * 2
        people.group_enable("readers")
    people.policy_add("look", policy={**READ, "Statement": [{**READ["Statement"][0], "Effect": "Deny"}]})
    assert codes(eve, Key="k") == ["AccessDenied"] * 2


def shown(port):
    """Return the serial number of the certificate that a new connection gets."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as raw, context.wrap_socket(raw) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True)).serial_number


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")  # the certificate is looked at
def test_sighup_gives_all_workers_the_new_certificate(tmp_path):
    home = tmp_path / "home"
    certs = home / ".minio" / "certs"
    certs.mkdir(parents=True)
    certificate(certs)
    server = S3Process(tmp_path / "data", STRONGROOM_S3_WORKERS="2", HOME=str(home))
    server.url = server.url.replace("http:", "https:")
    server.context = ssl._create_unverified_context()  # the test's own certificate
    server.start()
    try:
        client = boto3.client(
            "s3", endpoint_url=server.url, aws_access_key_id=USER[0], aws_secret_access_key=USER[1], verify=False,
            region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip
        client.create_bucket(Bucket="bkt")
        (before,) = {shown(server.port) for _ in range(8)}
        pids = children(server.process.pid)
        certificate(certs)
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 10
        while (found := {shown(server.port) for _ in range(8)}) & {before}:
            assert time.monotonic() < end, found
        assert len(found) == 1
        client.put_object(Bucket="bkt", Key="k", Body=b"the old connection goes on")
        assert children(server.process.pid) == pids
        (Path(certs) / "public.crt").write_text("broken")
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert {shown(server.port) for _ in range(8)} == found
    finally:
        server.stop()
