"""Recorded admin and KMS calls (vectors/sse/admin.json) replayed against a server with a static key, and without."""

import hashlib
import http.client
import json
import re
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from s3_process import S3Process

from strongroom.crypto import madmin

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "sse/admin.json").read_text())["transcripts"]
OVERRIDES = json.loads((HERE / "overrides/s3-admin.json").read_text())
SECRETS = {f"user{number}": f"secret-of-user{number}" for number in range(3)}
ROOT = ("minio", "minio123")


def cases(server):
    return [
        entry
        for entry in RECORDED
        if entry.get("server") == server
        and "request" in entry
        and not entry["request"]["path"].startswith("/minio/v2/")
    ]


class Client:
    def __init__(self, port):
        self.port = port

    def send(self, recorded):
        request = recorded["request"]
        body = self.body(request)
        signed = AWSRequest(
            request["method"],
            f"http://127.0.0.1:{self.port}{request['path']}",
            data=body,
            params=dict(request["query"]),
            headers={"X-Amz-Content-SHA256": hashlib.sha256(body).hexdigest()},
        )
        if who := self.who(request.get("auth", "")):
            region = "other" if recorded["name"].endswith("other region") else ""
            S3SigV4Auth(Credentials(*who), "s3", region).add_auth(signed)
        ready = signed.prepare()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        path = ready.url.removeprefix(f"http://127.0.0.1:{self.port}")
        connection.request(request["method"], path, body, dict(ready.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    @staticmethod
    def who(auth):
        kinds = {
            "none": None,
            "unknown access key": ("nobody", "secret-key"),
            "wrong secret key": ("minio", "wrong-one"),
        }
        for name, found in kinds.items():
            if auth.startswith(name):
                return found
        return (auth, SECRETS[auth]) if auth in SECRETS else ROOT

    @staticmethod
    def body(request):
        if "body_madmin_plaintext" in request:
            plain = json.dumps(request["body_madmin_plaintext"]).encode()
            return madmin.seal(ROOT[1].encode(), plain, madmin.Scheme.PBKDF2_AES_GCM)
        return request.get("body", "").encode()


def shape(text, content_type):
    """Return what is compared of a body: JSON without volatile members, code and message of XML."""
    if "xml" in content_type:
        return [re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1] for tag in ("Code", "Message")]
    if not text.strip().startswith(("{", "[")):
        return text.strip()
    found = json.loads(text)
    if isinstance(found, dict):
        return {name: value for name, value in found.items() if name not in {"RequestId", "HostId"}}
    return found


def compare(recorded, host, status, headers, content):
    wanted = recorded["response"] | OVERRIDES.get(recorded["name"], {})
    assert status == wanted["status"], content
    if wanted.get("body") is None or recorded["request"]["method"] == "HEAD":
        return
    content_type = headers.get("Content-Type") or ""
    assert shape(content.decode(), content_type) == shape(
        wanted["body"].replace("{host}", host), wanted.get("headers", {}).get("Content-Type", "")
    )


@pytest.fixture(scope="module", params=["http-static", "http-no-kms"])
def running(request, tmp_path_factory):
    empty = {"MINIO_KMS_SECRET_KEY": "", "MINIO_KMS_AUTO_ENCRYPTION": ""} if request.param == "http-no-kms" else {}
    server = S3Process(tmp_path_factory.mktemp("admin"), **{"MINIO_KMS_AUTO_ENCRYPTION": "off", **empty}).start()
    yield request.param, Client(server.port)
    server.stop()


def test_recorded_admin_calls(running):
    name, client = running
    failures = []
    for recorded in cases(name):
        try:
            compare(recorded, f"127.0.0.1:{client.port}", *client.send(recorded))
        except (AssertionError, TypeError) as error:
            failures.append(f"{recorded['name']}: {error}")
    assert not failures, "\n".join(failures)
