"""Two worker processes on one folder and port: what one was told counts in the other, and each may die."""

import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from chain_process import PROGRAM
from minio import MinioAdmin
from minio.credentials import StaticProvider
from s3_process import S3Process

READ = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::bkt/*"]}],
}


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(check, seconds=20):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def server(tmp_path):
    running = S3Process(tmp_path / "data", STRONGROOM_S3_WORKERS="2", MINIO_PROMETHEUS_AUTH_TYPE="public").start()
    yield running
    running.stop()


class Both:
    """A client for each worker: new ones are made until both workers have answered."""

    def __init__(self, server, user="minio", password="minio123"):
        self.by_worker = {}
        end = time.monotonic() + 20
        while len(self.by_worker) < 2:
            assert time.monotonic() < end
            client = boto3.client(
                "s3",
                endpoint_url=server.url,
                aws_access_key_id=user,
                aws_secret_access_key=password,
                region_name="us-east-1",
                config=Config(max_pool_connections=1, retries={"total_max_attempts": 1}),
            )
            with_error(client.list_buckets)
            self.by_worker.setdefault(self._worker(server, client), client)
        self.one, self.other = self.by_worker.values()

    @staticmethod
    def _worker(server, client):
        """Return the worker that holds the client's connection: whose sockets have its port as peer."""
        pool = client._endpoint.http_session._manager.connection_from_url(server.url)
        connection = pool.pool.queue[-1] if pool.pool.queue[-1] is not None else pool.pool.queue[0]
        local = connection.sock.getsockname()[1]
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inode = next(
            row[9] for row in rows if row[1].endswith(f":{server.port:04X}") and row[2].endswith(f":{local:04X}")
        )
        for pid in children(server.process.pid):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    if os.readlink(link) == f"socket:[{inode}]":
                        return pid
                except FileNotFoundError:
                    continue
        raise AssertionError("no worker has the connection")


def with_error(call, **arguments):
    """Return the answer's error code, "" when there is none."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def answers(server):
    try:
        return with_error(server.client().list_buckets) == ""
    except BotoCoreError:
        return False


def admin_of(server):
    host = server.url.removeprefix("http://")
    return MinioAdmin(endpoint=host, credentials=StaticProvider("minio", "minio123"), secure=False)


def test_buckets_and_objects_are_everybodys(server):
    both = Both(server)
    both.one.create_bucket(Bucket="bkt")
    both.other.put_bucket_versioning(Bucket="bkt", VersioningConfiguration={"Status": "Enabled"})
    assert both.one.get_bucket_versioning(Bucket="bkt")["Status"] == "Enabled"
    for number in range(20):
        both.one.put_object(Bucket="bkt", Key="k", Body=b"%d" % number)
        assert both.other.get_object(Bucket="bkt", Key="k")["Body"].read() == b"%d" % number
    assert len(both.other.list_object_versions(Bucket="bkt")["Versions"]) == 20
    upload = both.one.create_multipart_upload(Bucket="bkt", Key="m")["UploadId"]
    part = both.other.upload_part(Bucket="bkt", Key="m", UploadId=upload, PartNumber=1, Body=b"x" * 300_000)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    both.one.complete_multipart_upload(Bucket="bkt", Key="m", UploadId=upload, MultipartUpload=parts)
    assert both.other.get_object(Bucket="bkt", Key="m")["Body"].read() == b"x" * 300_000
    both.other.create_bucket(Bucket="gone")
    both.one.delete_bucket(Bucket="gone")
    assert with_error(both.other.put_object, Bucket="gone", Key="k", Body=b"") == "NoSuchBucket"


def test_users_and_policies_count_at_once(server, tmp_path):
    """A change is made through one worker, whichever, and tried in both at once, again and again."""
    root, admin = Both(server), admin_of(server)
    root.one.create_bucket(Bucket="bkt")
    root.one.put_object(Bucket="bkt", Key="k", Body=b"data")
    admin.user_add("eve", "eve-secret")
    admin.policy_add("look", policy=READ)
    admin.attach_policy(["look"], user="eve")
    eve = Both(server, "eve", "eve-secret")

    def codes():
        return {with_error(client.get_object, Bucket="bkt", Key="k") for client in (eve.one, eve.other)}

    assert codes() == {""}
    for _ in range(3):
        admin.user_disable("eve")
        assert codes() == {"InvalidAccessKeyId"}
        admin.user_enable("eve")
        assert codes() == {""}
        admin.detach_policy(["look"], user="eve")
        assert codes() == {"AccessDenied"}
        admin.attach_policy(["look"], user="eve")
        assert codes() == {""}
    denied = {**READ, "Statement": [{**READ["Statement"][0], "Effect": "Deny", "Principal": "*"}]}
    root.other.put_bucket_policy(Bucket="bkt", Policy=json.dumps(denied))
    assert codes() == {"AccessDenied"}
    admin.user_remove("eve")
    assert codes() == {"InvalidAccessKeyId"}


def kill_one(server, answered):
    before = len(answered)
    wait_until(lambda: len(answered) > before + 60)
    victim = children(server.process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(set(children(server.process.pid)) - {victim}) == 2)


def test_a_killed_worker_comes_back_and_loses_nothing(server):
    client = server.client(attempts=3)
    client.create_bucket(Bucket="bkt")
    stop, answered = threading.Event(), []

    def put(thread):
        mine, number = server.client(), 0
        while not stop.is_set():
            key = f"{thread}/{number}"
            number += 1
            try:
                mine.put_object(Bucket="bkt", Key=key, Body=key.encode() * 1000)
            except (ClientError, BotoCoreError):
                continue
            answered.append(key)

    with ThreadPoolExecutor(8) as pool:
        works = [pool.submit(put, thread) for thread in range(8)]
        try:
            for _ in range(2):
                kill_one(server, answered)
        finally:
            stop.set()
        for work in works:
            work.result()
    listed = {
        found["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="bkt")
        for found in page.get("Contents", [])
    }
    assert set(answered) <= listed
    for key in answered[:: max(len(answered) // 50, 1)]:
        assert client.get_object(Bucket="bkt", Key=key)["Body"].read() == key.encode() * 1000


def test_the_parents_death_ends_all_and_its_place_is_free(server):
    pids = children(server.process.pid)
    client = server.client()
    client.create_bucket(Bucket="bkt")
    client.put_object(Bucket="bkt", Key="k", Body=b"kept")
    server.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}/fd").exists() for pid in pids))
    server.start()
    assert server.client().get_object(Bucket="bkt", Key="k")["Body"].read() == b"kept"
    assert server.stop() == 0


def test_a_restart_by_the_admin_api_replaces_all(server):
    parent, before = server.process.pid, set(children(server.process.pid))
    admin_of(server).service_restart()
    wait_until(lambda: len(set(children(parent)) - before) == 2)
    wait_until(lambda: answers(server))
    admin_of(server).service_stop()
    assert server.process.wait(15) == 0


def test_every_worker_answers_for_all(server):
    both = Both(server)
    for client in (both.one, both.other):
        for _ in range(3):
            client.list_buckets()
    time.sleep(1.5)

    def total():
        request = urllib.request.Request(f"{server.url}/minio/v2/metrics/node")
        text = urllib.request.urlopen(request, timeout=5).read().decode()
        line = next(line for line in text.splitlines() if line.startswith('minio_s3_requests_total{api="listbuckets"'))
        return int(float(line.split()[-1]))

    before = total()
    assert {total() for _ in range(6)} == {before}
    assert before >= 6
    victim = children(server.process.pid)[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(set(children(server.process.pid)) - {victim}) == 2)
    time.sleep(2)
    assert {total() for _ in range(6)} == {before}


def test_what_cannot_start_ends_at_once(tmp_path):
    environment = {**os.environ, "MINIO_ROOT_USER": "minio", "MINIO_ROOT_PASSWORD": "minio123"}
    (tmp_path / ".minio.sys").mkdir()
    words = ["s3", "server", str(tmp_path), "--workers", "2", "--address", "127.0.0.1:0"]
    done = subprocess.run([*PROGRAM, *words], env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith("FATAL ")
    assert done.stderr.count("\n") == 1


def test_listeners_hear_every_worker(server):
    both = Both(server)
    both.one.create_bucket(Bucket="bkt")
    stream = sdk_listen(server)
    try:
        seen = []
        for number in range(20):
            for worker, client in enumerate((both.one, both.other)):
                client.put_object(Bucket="bkt", Key=f"{worker}-{number}", Body=b"")
        end = time.monotonic() + 10
        while len(seen) < 40 and time.monotonic() < end:
            line = stream.readline().strip()
            if line:
                seen.append(json.loads(line)["Key"].partition("/")[2])
        assert sorted(seen) == sorted(f"{worker}-{number}" for worker in (0, 1) for number in range(20))
    finally:
        stream.close()


def sdk_listen(server):
    """Open a stream of all events of the bucket; returns once the server has begun to send."""
    request = AWSRequest("GET", f"{server.url}/bkt?events=s3%3AObjectCreated%3A%2A")
    request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    S3SigV4Auth(Credentials("minio", "minio123"), "s3", "us-east-1").add_auth(request)
    stream = urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers)), timeout=15)
    assert stream.read(1) == b" "
    time.sleep(0.3)  # the other worker has heard that somebody listens
    return stream
