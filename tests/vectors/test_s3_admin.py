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
        if entry.get("server") == server and "request" in entry
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


def metrics_differ(wanted, text):
    """Return what differs of the key service's metrics, the counters' values aside; "" for nothing."""
    found = [line for line in text.splitlines() if "cluster_kms" in line]
    names = [sorted({line.split()[2] if line[0] == "#" else re.split("[{ ]", line)[0] for line in lines})
             for lines in (wanted, found)]  # fmt: skip
    kinds = [sorted(line for line in lines if line.startswith("# TYPE")) for lines in (wanted, found)]
    if names[0] != names[1] or (kinds[0] and kinds[0] != kinds[1]):
        return f"{found} instead of {wanted}"
    return ""


VOLATILE = {"deploymentID", "uptime", "version", "commitID", "endpoint", "network", "minio_env_vars", "buckets",
            "objects", "versions", "usage", "rawUsage", "rawCapacity"}  # fmt: skip
OTHERS = {"major", "minor", "metrics", "local", "edition", "is_leader", "ilm_expiry_in_progress", "poolNumbers",
          "runtime_version", "go_max_procs", "num_cpu", "mem_stats", "gc_stats"}  # fmt: skip


def trimmed_differ(wanted, found, path=""):
    """Return what our document lacks or has otherwise; members of the original's machinery and counters aside."""
    if isinstance(wanted, dict):
        names = [name for name in wanted if name not in VOLATILE | OTHERS]
        return "".join(trimmed_differ(wanted[name], found.get(name), f"{path}/{name}") for name in names)
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return "".join(trimmed_differ(*pair, f"{path}/{n}") for n, pair in enumerate(zip(wanted, found, strict=True)))
    return "" if wanted == found or wanted == "{v}" else f"{path}: {found!r} instead of {wanted!r}. "


def compare(recorded, host, status, headers, content):
    wanted = recorded["response"] | OVERRIDES.get(recorded["name"], {})
    assert status == wanted["status"], content
    if "lines" in wanted:
        assert not metrics_differ(wanted["lines"], content.decode())
    if "json_trimmed" in wanted:
        assert not trimmed_differ(wanted["json_trimmed"], json.loads(content))
    if wanted.get("body") is None or recorded["request"]["method"] == "HEAD":
        return
    content_type = headers.get("Content-Type") or ""
    assert shape(content.decode(), content_type) == shape(
        wanted["body"].replace("{host}", host), wanted.get("headers", {}).get("Content-Type", "")
    )


@pytest.fixture(scope="module", params=["http-static", "http-no-kms"])
def running(request, tmp_path_factory):
    empty = {"MINIO_KMS_SECRET_KEY": ""} if request.param == "http-no-kms" else {}
    settings = {"MINIO_KMS_AUTO_ENCRYPTION": "off", "MINIO_PROMETHEUS_AUTH_TYPE": "public"}
    server = S3Process(tmp_path_factory.mktemp("admin"), **settings, **empty).start()
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
