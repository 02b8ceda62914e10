"""Every recorded error of the original S3 server, in order: the same status, code and text, or an override's."""

import asyncio
import datetime
import html
import re
import time
import uuid

import pytest
from vectors.s3_replay import (
    ACCESS,
    REGION,
    Signer,
    exchange,
    http_date,
    load,
    md5_base64,
    overrides,
    raw_request,
    sha256,
)

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings, StaticSettings
from strongroom.crypto.secret import Secret
from strongroom.s3 import app
from strongroom.s3.wire import sigv4

ENTRIES = load("s3/errors.json")
OVERRIDES = overrides("s3")
HOUR = 3600
SHIFT = {"auth-date-past": -HOUR, "auth-date-future": HOUR, "presign-expired": -HOUR, "presign-future": HOUR}
PAST = {"get-if-unmodified-past", "get-match-hit-unmodified-past", "lock-past-date", "retention-past"}
LONG = {
    "put-key-long": "/err-bkt/" + "a" * 1025,
    "put-key-long-segment": "/err-bkt/" + "a" * 256,
    "create-bucket-name-long": "/" + "a" * 64,
}
CUSTOMER = [entry["name"] for entry in ENTRIES if entry["name"].startswith("ssec-")]


class Replay:
    """One server, its state, and the answers by name."""

    def __init__(self, tls_port=None):
        self.values = {"<uuid1>": str(uuid.uuid4())}
        self.answers = {}

    async def run(self):
        settings = app.Settings(
            RootCredentials(ACCESS, Secret(b"minio123")),
            None,
            "127.0.0.1",
            0,
            kms=KmsSettings(static=StaticSettings("my-key", Secret(bytes(range(32))))),
            trusted_proxies=("127.0.0.1",),
        )
        running = await app.start(settings)
        self.signer = Signer(running.port, shift=SHIFT)
        try:
            await self.prepare()
            for entry in ENTRIES:
                self.answers[entry["name"]] = await self.send(entry)
                self.learn(entry["name"])
        finally:
            await running.stop(0.1)

    async def simple(self, method, target, body=b"", headers=None):
        sent = dict(headers or {})
        if body or method in ("PUT", "POST"):
            sent["Content-Length"] = str(len(body))
        entry = {"name": "", "request": {"method": method, "target": target, "headers": sent, "body": body.decode()}}
        answer = await self.send(entry, sign=True)
        assert answer.status < 300, (target, answer)
        return answer

    async def prepare(self):
        for bucket in ("err-bkt", "err-ver"):
            await self.simple("PUT", f"/{bucket}")
        await self.simple("PUT", "/err-lock", headers={"x-amz-bucket-object-lock-enabled": "true"})
        await self.simple("PUT", "/err-bkt/obj", b"0123456789" * 10)
        await self.simple("PUT", "/err-bkt/empty")
        enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        await self.simple("PUT", "/err-ver?versioning", enabled)
        await self.simple("PUT", "/err-ver/doc", b"v")
        marker = await self.simple("DELETE", "/err-ver/doc")
        self.values["<marker-version-id>"] = marker.headers["x-amz-version-id"]
        locked = await self.simple("PUT", "/err-lock/obj", b"x")
        self.values["<version-id>"] = locked.headers["x-amz-version-id"]
        await self.simple("PUT", "/err-bkt/plain", b"p")
        self.uploads = {}
        for key in ("mp", "ssecm"):
            headers = {**SSEC} if key == "ssecm" else {}
            answer = await self.simple("POST", f"/err-bkt/{key}?uploads", headers=headers)
            self.uploads[key] = answer.element("UploadId")
        crc = await self.simple("POST", "/err-bkt/crc?uploads", headers={"x-amz-checksum-algorithm": "CRC32"})
        self.uploads["crc"] = crc.element("UploadId")
        for number, data in ((1, b"a"), (2, b"b")):
            await self.simple("PUT", f"/err-bkt/mp?partNumber={number}&uploadId={self.uploads['mp']}", data)

    def learn(self, name):
        """Keep what later requests refer to."""

    def fill(self, text, name):
        for placeholder, value in self.values.items():
            text = text.replace(placeholder, value)
        if name in ("part-without-declared-checksum", "part-with-other-checksum"):
            return re.sub(
                r"/err-bkt/[^?]*\?(.*)uploadId=[^&]*", rf"/err-bkt/crc?\1uploadId={self.uploads['crc']}", text
            )
        if "<upload-id>" in text:
            upload = self.uploads["ssecm" if "/ssecm" in text else "mp"]
            text = text.replace("<upload-id>", upload)
        return text

    def body(self, entry):
        name, text = entry["name"], entry["request"].get("body") or ""
        if name == "delete-objects-1001":
            return b"<Delete>" + b"".join(b"<Object><Key>k%d</Key></Object>" % n for n in range(1001)) + b"</Delete>"
        year = 2020 if name in PAST else 2099
        text = text.replace("<rfc3339>", f"{year}-01-01T00:00:00Z").replace("<etag>", "0" * 32)
        text = self.fill(text, name).replace("<signature>", "0" * 64)
        if name == "put-chunked-transfer":
            text = "3\r\nabc\r\n0\r\n\r\n"
        return text.encode()

    async def send(self, entry, sign=False):
        name, request = entry["name"], entry["request"]
        method, body = request["method"], self.body(entry)
        target = self.fill(LONG.get(name, request["target"]), name)
        target = re.sub(r"Expires=17\d{8}", f"Expires={int(time.time()) + HOUR}", target)
        headers = {"Host": f"127.0.0.1:{self.signer.port}"}
        if name.startswith("ssec-") or (
            any("customer" in header for header in request["headers"]) and (name != "put-sse-customer-over-http")
        ):
            headers["X-Forwarded-Proto"] = "https"
        when = self.signer.when(name)
        for header, value in request["headers"].items():
            if header.lower() != "authorization":
                headers[header] = self.header(name, header, value, body, when)
        if "Content-MD5" in headers and body and "content-md5" not in name and "bad-md5" not in name:
            headers["Content-MD5"] = md5_base64(body)
        if "X-Amz-Signature=<signature>" in target or "X-Amz-Date=" in target:
            target = self.presigned(name, method, target, headers, when)
        authorization = request["headers"].get("Authorization")
        if sign:
            authorization = "AWS4-HMAC-SHA256 Signature=<signature>, SignedHeaders=" + ";".join(
                sorted(
                    {
                        "host",
                        "x-amz-date",
                        "x-amz-content-sha256",
                        *(n.lower() for n in request["headers"] if n.lower().startswith("x-amz")),
                    }
                )
            )
            headers |= {"X-Amz-Date": when.strftime(sigv4.AMZ_DATE), "X-Amz-Content-SHA256": sha256(body)}
        if authorization is not None:
            headers["Authorization"] = self.authorization(name, method, target, headers, authorization, when)
        if "Content-Length" in headers and headers["Content-Length"].isdigit() and name != "put-short-body":
            headers["Content-Length"] = str(len(body))
        if name == "put-chunked-transfer":
            headers.pop("Content-Length", None)
        raw = raw_request(method, target, headers, body)
        return await exchange(self.signer.port, raw, method, half_close=name == "put-short-body")

    def header(self, name, header, value, body, when):
        if header.lower() == "x-amz-content-sha256" and value == "<sha256-or-id>":
            wrong = {"put-bad-sha256": "0" * 64, "put-no-content-length": sha256(b"abc"), "put-sha256-malformed": "xyz"}
            wrong["put-chunked-transfer"] = sha256(b"abc")
            return wrong.get(name, sha256(body))
        day = datetime.timedelta(days=1)
        if value == "<http-date>":
            offset = -day if name in PAST else day if name.endswith("-future") else datetime.timedelta(seconds=0)
            return http_date(when + offset)
        if value == "<rfc3339>":
            return "2020-01-01T00:00:00Z" if name in PAST else "2099-01-01T00:00:00Z"
        if header == "x-amz-meta-big":
            return "x" * 2100
        return self.fill(value, name).replace("<amz-date>", when.strftime(sigv4.AMZ_DATE))

    def authorization(self, name, method, target, headers, template, when):
        date = when.strftime("%Y%m%d")
        template = template.replace("<amz-date>", when.strftime(sigv4.AMZ_DATE))
        found = re.search(r"SignedHeaders=([^,]*)", template)
        if "<signature>" not in template or not found:
            return template.replace("<date>", date)
        lower = {header.lower(): value for header, value in headers.items()}
        if name == "auth-signed-header-missing":
            lower["x-amz-meta-q"] = "1"
        if name == "put-sha256-header-missing":
            lower["x-amz-content-sha256"] = "0" * 64
        names = found[1].split(";")
        signed = {one: lower.get(one, "") for one in names}
        payload = lower.get("x-amz-content-sha256", sigv4.EMPTY_SHA256)
        scoped = re.search(r"Credential=[^/,]*/([^/,]*)/([^/,]*)/", template)
        region = scoped[2] if scoped else REGION
        if name == "auth-scope-date-differs":
            date = (when - datetime.timedelta(days=1)).strftime("%Y%m%d")
        secret = "wrong secret" if name == "auth-wrong-secret" else None
        signing_target = target.partition("?")[0] if name == "auth-tampered-query" else target
        seal = self.signer.signature(
            name, method, signing_target, signed, payload, when=when, secret=secret, scope_date=date, region=region
        )
        if name == "":
            template = template.replace(
                "Signature=<signature>, ", f"Credential={ACCESS}/<date>/{REGION}/s3/aws4_request, "
            )
            template += f", Signature={seal}"
        return template.replace("<date>", date).replace("<signature>", seal)

    def presigned(self, name, method, target, headers, when):
        target = target.replace("<date>", when.strftime("%Y%m%d")).replace("<amz-date>", when.strftime(sigv4.AMZ_DATE))
        if "<signature>" not in target:
            return target
        path, _, query = target.partition("?")
        pairs = [pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature")]
        signed_pairs = [pair for pair in pairs if pair != "x=1" or name != "presign-extra-parameter"]
        method = "HEAD" if name == "presign-wrong-method" else method
        seal = self.signer.signature(
            name, method, f"{path}?{'&'.join(signed_pairs)}", {"host": headers["Host"]}, "UNSIGNED-PAYLOAD", when=when
        )
        if name == "presign-bad-signature":
            seal = "0" * 64
        return target.replace("<signature>", seal)


SSEC = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=",
    "x-amz-server-side-encryption-customer-key-MD5": "GoDL8oWeAZVZNl1r5Hh5Tg==",
}


@pytest.fixture(scope="module")
def answers():
    replay = Replay()
    asyncio.run(replay.run())
    return replay.answers


def expected(entry):
    """Return (status, code, text, headers), with what the override changes."""
    response = entry["response"]
    body = response["body"] or ""
    changed = OVERRIDES.get(entry["name"], {})
    code = re.search(r"<Code>(.*?)</Code>", body)
    text = re.search(r"<Message>(.*?)</Message>", body)
    headers = {name.lower(): value for name, value in response["headers"].items()}
    return (
        changed.get("status", response["status"]),
        changed.get("code", code[1] if code else None),
        changed.get("message", html.unescape(text[1]) if text else None),
        headers | changed.get("headers", {}),
    )


COMPARED = ("etag", "x-minio-error-code", "content-range", "x-amz-delete-marker", "x-amz-tagging-count", "location")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_recorded_error(entry, answers):
    status, code, text, headers = expected(entry)
    answer = answers[entry["name"]]
    if status is None:
        assert answer is None
        return
    assert (answer.status, answer.element("Code")) == (status, code), answer.text[:600]
    if code is not None:
        assert html.unescape(answer.element("Message") or "") == text
    for name in COMPARED:
        wanted = headers.get(name)
        if wanted is not None and "<" not in wanted:
            assert answer.headers.get(name) == wanted, name


def test_error_documents_carry_the_request_id(answers):
    for name, answer in answers.items():
        if answer is not None and answer.element("RequestId"):
            assert answer.element("RequestId") == answer.headers["x-amz-request-id"], name


def test_every_override_has_a_reason():
    assert all(one.get("reason") for one in OVERRIDES.values())
    assert set(OVERRIDES) <= {entry["name"] for entry in ENTRIES} | {e.get("name") for e in load("s3/listing.json")}
