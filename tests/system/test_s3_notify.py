"""Bucket notifications reach a webhook, also one that was away, and a listener."""

import http.server
import json
import threading
import time
import urllib.request

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from system.test_s3_boto3 import ROOT, Served

from strongroom.config.webhooks import Webhook
from strongroom.s3 import app

ARN = "arn:minio:sqs::first:webhook"


class Hook:
    """A web server that keeps what it is sent; `away` answers 503."""

    def __init__(self):
        self.got, self.away, self.tokens = [], False, set()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not hook.away:
                    hook.got.append(json.loads(body))
                    hook.tokens.add(self.headers["Authorization"])
                self.send_response(503 if hook.away else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"

    def wait(self, count, seconds=10):
        end = time.monotonic() + seconds
        while len(self.got) < count:
            assert time.monotonic() < end, self.got
            time.sleep(0.02)
        return [one["EventName"].removeprefix("s3:Object") for one in self.got]


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


def settings(folder, hook):
    return app.Settings(ROOT, folder, "127.0.0.1", 0, webhooks=(Webhook("first", hook.url, "Bearer t"),))


def subscribe(s3, bucket, *patterns, prefix="", suffix=""):
    rules = [{"Name": name, "Value": value} for name, value in (("prefix", prefix), ("suffix", suffix)) if value]
    one = {"QueueArn": ARN, "Events": list(patterns), **({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [one]})


def test_events_of_all_kinds(hook, tmp_path):
    served = Served(settings(tmp_path / "data", hook))
    try:
        s3 = served.client()
        s3.create_bucket(Bucket="told")
        subscribe(
            s3, "told", "s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectAccessed:Get", prefix="a/", suffix=".x"
        )
        s3.put_object(Bucket="told", Key="a/é 1.x", Body=b"123", Metadata={"m": "1"})
        s3.put_object(Bucket="told", Key="b/1.x", Body=b"123")
        s3.put_object(Bucket="told", Key="a/1.y", Body=b"123")
        s3.copy_object(Bucket="told", Key="a/2.x", CopySource="told/b/1.x")
        s3.get_object(Bucket="told", Key="a/2.x")["Body"].read()
        s3.head_object(Bucket="told", Key="a/2.x")
        s3.put_object_tagging(Bucket="told", Key="a/2.x", Tagging={"TagSet": []})
        s3.delete_objects(Bucket="told", Delete={"Objects": [{"Key": "a/2.x"}, {"Key": "a/none.x"}]})
        wanted = ["Created:Put", "Created:Copy", "Accessed:Get", "Created:PutTagging", "Removed:Delete"]
        assert hook.wait(5) == wanted
        assert hook.tokens == {"Bearer t"}
        first = hook.got[0]
        assert first["Key"] == "told/a/é 1.x"
        thing = first["Records"][0]["s3"]["object"]
        assert (thing["key"], thing["size"], thing["userMetadata"]) == ("a/%C3%A9+1.x", 3, {"x-amz-meta-m": "1"})
        assert s3.get_bucket_notification_configuration(Bucket="told")["QueueConfigurations"][0]["QueueArn"] == ARN
    finally:
        served.stop()


def test_what_a_target_did_not_take_survives_a_restart(hook, tmp_path):
    hook.away = True
    served = Served(settings(tmp_path / "data", hook))
    s3 = served.client()
    s3.create_bucket(Bucket="kept")
    subscribe(s3, "kept", "s3:ObjectCreated:*")
    for number in range(5):
        s3.put_object(Bucket="kept", Key=f"k{number}", Body=b"")
    served.stop()
    assert not hook.got
    hook.away = False
    served = Served(settings(tmp_path / "data", hook))
    try:
        hook.wait(5)
        assert [one["Key"] for one in hook.got] == [f"kept/k{number}" for number in range(5)]
    finally:
        served.stop()


@pytest.mark.parametrize(
    "configuration",
    [
        {"QueueConfigurations": [{"QueueArn": "arn:minio:sqs::other:webhook", "Events": ["s3:ObjectCreated:*"]}]},
        {
            "QueueConfigurations": [
                {"QueueArn": ARN, "Events": ["s3:ObjectCreated:*"]},
                {"QueueArn": ARN, "Events": ["s3:ObjectCreated:Put"]},
            ]
        },
    ],
)
def test_refused_configurations(hook, configuration):
    served = Served(settings(None, hook))
    try:
        s3 = served.client()
        s3.create_bucket(Bucket="no-such")
        with pytest.raises(ClientError) as error:
            s3.put_bucket_notification_configuration(Bucket="no-such", NotificationConfiguration=configuration)
        assert error.value.response["Error"]["Code"] == "InvalidArgument"
    finally:
        served.stop()


def test_a_listener_hears_at_once(hook):
    served = Served(app.Settings(ROOT, None, "127.0.0.1", 0))
    try:
        s3 = served.client()
        s3.create_bucket(Bucket="heard")
        url = f"{served.running.url}/heard?events=s3%3AObjectCreated%3A%2A&prefix=a"
        request = AWSRequest("GET", url)
        S3SigV4Auth(Credentials("rootuser", "rootpassword"), "s3", "us-east-1").add_auth(request)
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers)), timeout=10) as stream:
            assert stream.read(1) == b" "
            s3.put_object(Bucket="heard", Key="b", Body=b"")
            s3.put_object(Bucket="heard", Key="a", Body=b"")
            assert json.loads(stream.readline())["Key"] == "heard/a"
    finally:
        served.stop()
