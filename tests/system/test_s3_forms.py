"""Browser forms, as boto3 presigns them, SigV4 and SigV2."""

import base64
import json
import socket
import urllib.error
import urllib.request
import uuid

import pytest
from system.test_s3_boto3 import ROOT, Served

from strongroom.s3 import app
from strongroom.s3.wire import form as forms


@pytest.fixture(scope="module")
def served():
    server = Served(app.Settings(ROOT, None, "127.0.0.1", 0))
    server.client().create_bucket(Bucket="forms")
    yield server
    server.stop()


def multipart(fields, file, filename="upload.txt"):
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()
    ]
    if file is not None:
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        parts.append(head.encode() + b"Content-Type: text/plain\r\n\r\n" + file + b"\r\n")
    return b"".join(parts) + f"--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


class Kept(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


def send(url, fields, file, headers=(), **more):
    body, kind = multipart(fields, file, **more)
    request = urllib.request.Request(url, data=body, headers={**dict(headers), "Content-Type": kind}, method="POST")
    try:
        with urllib.request.build_opener(Kept).open(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


@pytest.mark.parametrize("version", ["s3", "s3v4"])
@pytest.mark.parametrize("size", [5, 700_000])
def test_a_presigned_form(served, version, size):
    client = served.client(signature_version=version)
    form = client.generate_presigned_post(
        "forms",
        "up/${filename}",
        Fields={"Content-Type": "text/q", "x-amz-meta-a": "b", "success_action_status": "201"},
        Conditions=[
            ["starts-with", "$Content-Type", "text/"],
            {"x-amz-meta-a": "b"},
            {"success_action_status": "201"},
            ["content-length-range", 1, 10**6],
        ],
    )
    status, _, body = send(form["url"], form["fields"], b"x" * size)
    assert status == 201, body
    assert b"<Key>up/upload.txt</Key>" in body
    got = client.get_object(Bucket="forms", Key="up/upload.txt")
    assert got["Body"].read() == b"x" * size
    assert (got["ContentType"], got["Metadata"]) == ("text/q", {"a": "b"})


def test_what_the_policy_does_not_allow(served):
    client = served.client(signature_version="s3v4")
    form = client.generate_presigned_post("forms", "k", Conditions=[["content-length-range", 2, 10]])
    assert send(form["url"], form["fields"], b"x" * 11)[0] == 400
    assert b"EntityTooLarge" in send(form["url"], form["fields"], b"x" * 11)[2]
    assert b"EntityTooSmall" in send(form["url"], form["fields"], b"x")[2]
    assert send(form["url"], {**form["fields"], "key": "other"}, b"xxx")[0] == 403
    assert send(form["url"], {**form["fields"], "x-amz-meta-z": "1"}, b"xxx")[0] == 403
    assert send(form["url"], {**form["fields"], "x-ignore-z": "1"}, b"xxx")[0] == 204
    assert send(form["url"], {**form["fields"], "x-amz-signature": "0" * 64}, b"xxx")[0] == 403
    assert send(form["url"], form["fields"], None)[0] == 400
    assert send(form["url"], {"key": "k"}, b"x")[0] == 403


def test_redirect(served):
    client = served.client(signature_version="s3v4")
    there = "http://example.org/done?a=1"
    form = client.generate_presigned_post(
        "forms", "r", Fields={"success_action_redirect": there}, Conditions=[{"success_action_redirect": there}]
    )
    status, headers, _ = send(form["url"], form["fields"], b"xxx")
    assert status == 303
    assert headers["Location"].startswith(there + "&bucket=forms&key=r&etag=%22")


def test_every_split_of_a_form_is_the_same():
    body, kind = multipart({"key": "k", "empty": "", "a": "--"}, b"\r\n--not the mark\r\nfile")
    for cut in range(len(body) + 1):
        got, fields = bytearray(), {}

        def begin(found, fields=fields, got=got):
            fields.update(found)
            return got.extend

        decoder = forms.FormDecoder(forms.boundary(kind), begin)
        decoder.feed(memoryview(body[:cut]))
        decoder.feed(memoryview(body[cut:]))
        decoder.finish()
        assert fields == {"key": "k", "empty": "", "a": "--"}
        assert got == b"\r\n--not the mark\r\nfile"


@pytest.mark.parametrize(
    "policy",
    [
        b"",
        b"{}",
        b"[]",
        b'{"expiration": "2099-01-01T00:00:00Z"}',
        b'{"expiration": "never", "conditions": [{"a": "b"}]}',
        b'{"Expiration": "2099-01-01T00:00:00Z", "conditions": [{"a": "b"}]}',
        b'{"expiration": "2099-01-01T00:00:00Z", "conditions": []}',
        b'{"expiration": "2099-01-01T00:00:00Z", "conditions": [{"a": 1}]}',
        b'{"expiration": "2099-01-01T00:00:00Z", "conditions": [["like", "$a", "b"]]}',
        b'{"expiration": "2099-01-01T00:00:00Z", "conditions": [["content-length-range", -1, 2]]}',
        b'{"expiration": "2099-01-01T00:00:00Z", "conditions": [["starts-with", "$bucket", "b"]]}',
    ],
)
def test_bad_policies(policy):
    with pytest.raises(forms.Refused) as error:
        forms.parse_policy(base64.b64encode(policy).decode())
    assert error.value.code == "InvalidPolicyDocument"


def test_operators_and_names_are_not_case_sensitive():
    document = {"expiration": "2099-01-01T00:00:00Z", "conditions": [["StArTs-WiTh", "$Key", "a"], {"BuCkEt": "b"}]}
    policy = forms.parse_policy(base64.b64encode(json.dumps(document).encode()).decode())
    policy.check({"key": "ab", "bucket": "b"}, 0)


def test_a_form_without_end_of_fields_is_refused():
    decoder = forms.FormDecoder(b"m", lambda fields: bytearray().extend)
    field = b'--m\r\nContent-Disposition: form-data; name="%b"\r\n\r\n\r\n' % (b"n" * 1000)
    with pytest.raises(forms.Refused) as error:
        decoder.feed(memoryview(field * 10_000))
    assert error.value.code == "MaxMessageLengthExceeded"


SEALED_ONLY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::open/*"},
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::open/*",
            "Condition": {"StringNotEquals": {"s3:x-amz-meta-kind": "good"}},
        },
    ],
}


def test_a_buckets_policy_sees_the_forms_fields_not_its_headers(served):
    client = served.client()
    client.create_bucket(Bucket="open")
    client.put_bucket_policy(Bucket="open", Policy=json.dumps(SEALED_ONLY))
    url = f"{client.meta.endpoint_url}/open"
    assert send(url, {"key": "k", "x-amz-meta-kind": "good"}, b"x")[0] == 204
    assert send(url, {"key": "k"}, b"x")[0] == 403
    assert send(url, {"key": "k"}, b"x", headers={"x-amz-meta-kind": "good"})[0] == 403


def test_a_file_that_may_not_be_stored_is_not_waited_for(served):
    """The answer comes although the rest of the body never does: the form is refused by its fields."""
    body, kind = multipart({"key": "k"}, b"x" * 400_000)
    host, port = served.client().meta.endpoint_url.removeprefix("http://").split(":")
    head = f"POST /forms HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {kind}\r\nContent-Length: {10**10}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode() + body[:350_000])
        assert connection.recv(12) == b"HTTP/1.1 403"
