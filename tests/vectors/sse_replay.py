"""Replays the recorded encryption transcripts, in order, against S3 servers of ours set up like the recorder's."""

import base64
import contextlib
import datetime
import hashlib
import hmac
import json
import re
from urllib.parse import quote, urlencode

from vectors.s3_replay import ACCESS, REGION, SECRET, Signer, exchange, load, raw_request, sha256

from strongroom.chain.certificates import Pair, make_authority, make_identity, make_server
from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KesSettings, KmsSettings, StaticSettings
from strongroom.crypto.secret import Secret
from strongroom.kes import app as kes_app
from strongroom.kes.domain.policy import Policy
from strongroom.kes.domain.settings import FsSettings, Settings, TlsSettings
from strongroom.observe.log import OFF, Log
from strongroom.s3 import app
from strongroom.s3.wire import sigv4

FILE = load("sse/http.json")
TRANSCRIPTS = [entry for entry in FILE["transcripts"] if "request" in entry]
KEY = bytes.fromhex(FILE["kms_key_hex"])
STATIC = KmsSettings(static=StaticSettings("my-key", Secret(KEY)))


def plain(label, size):
    return b"".join(hashlib.sha256(f"{label}:{n}".encode()).digest() for n in range(size // 32 + 1))[:size]


class Kes:
    """A key server with the recorder's keys; phases change what it knows and allows."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "keys").mkdir()
        authority = self.pair("authority")
        make_authority(authority)
        make_server(authority, self.pair("kes"), ["127.0.0.1"])
        self.identity = make_identity(self.pair("s3"), "s3")
        self.operator = make_identity(self.pair("operator"), "operator")

    def pair(self, name):
        return Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def settings(self, *, denied=False):
        server = self.pair("kes")
        deny = ("/v1/*",) if denied else ("/v1/key/create/forbidden-key", "/v1/key/generate/forbidden-key")
        return Settings(
            host="127.0.0.1",
            port=0,
            admin=self.operator,
            tls=TlsSettings(str(server.key), str(server.certificate)),
            policies=(Policy("s3", ("/v1/*",), deny, (self.identity,)),),
            store=FsSettings(str(self.folder / "keys")),
        )

    def kms(self, name="s3"):
        client = self.pair(name)
        ca = str(self.pair("authority").certificate)
        endpoint = f"https://127.0.0.1:{self.app.port}"
        kes = KesSettings((endpoint,), "my-key", "", str(client.key), str(client.certificate), "", ca)
        return KmsSettings(kes=kes, bucket_keys=False)

    async def start(self):
        self.app = await kes_app.start(self.settings(), log=Log(OFF))
        from strongroom.s3.outside.kes_service import KesService

        self.client = KesService(self.kms("operator").kes).client
        await self.client.import_key("my-key", KEY)
        for name in ("key-2", "forbidden-key"):
            await self.client.create(name)

    async def phase(self, name):
        if name == "key-2 deleted":
            await self.client.delete("key-2")
        elif name == "key-2 recreated":
            await self.client.recreate("key-2")
        elif name == "kes denies the identity":
            await self.app.reload(self.settings(denied=True))
        elif name == "kes down":
            await self.stop()

    async def stop(self):
        if self.app is not None:
            await self.client.close()
            await self.app.stop(0.1)
            self.app = None


class Replay:
    """One set-up's server and what its answers have said so far."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.answers = {}  # by place in TRANSCRIPTS: names repeat
        self.uploads = {}  # path → upload id
        self.parts = {}  # path → number → ETag
        self.etags = {}  # path → ETag of the object

    async def run(self):
        kes = Kes(self.folder) if self.name == "tls-kes" else None
        async with contextlib.AsyncExitStack() as stack:
            if kes is not None:
                await kes.start()
                stack.push_async_callback(kes.stop)
            running = await app.start(self.settings(kes))
            stack.push_async_callback(running.stop, 0.1)
            self.signer = Signer(running.port)
            phase = ""
            for number, entry in enumerate(TRANSCRIPTS):
                if entry["server"] != self.name:
                    continue
                now = entry["name"].partition(":")[0]
                if kes is not None and now != phase:
                    await kes.phase(now)
                    running.service.events.forget(None)  # as when its time has passed
                phase = now
                self.answers[number] = await self.send(entry)

    def settings(self, kes):
        automatic = {"auto_encryption": "aws:kms"} if self.name == "tls-static-auto" else {}
        kms = KmsSettings() if "no-kms" in self.name else KmsSettings(static=STATIC.static, **automatic)
        return app.Settings(
            RootCredentials(ACCESS, Secret(SECRET.encode())),
            None,
            "127.0.0.1",
            0,
            kms=kms if kes is None else kes.kms(),
            trusted_proxies=("127.0.0.1",) if self.name.startswith("tls") else (),
        )

    async def send(self, entry):
        request = entry["request"]
        method, path = request["method"], request["path"]
        headers = {"Host": f"127.0.0.1:{self.signer.port}", **request["headers"]}
        for name in ("If-Match", "If-None-Match"):
            if "<etag32>" in headers.get(name, ""):
                known = "0" * 32 if entry["name"].endswith("other") else self.etags.get(path, "")
                headers[name] = headers[name].replace("<etag32>", known)
        if self.name.startswith("tls"):
            headers["X-Forwarded-Proto"] = "https"
        body = self.body(entry, headers)
        if method in ("PUT", "POST") or body:
            headers["Content-Length"] = str(len(body))
        query = [(name, self.uploads.get(path, value) if "{" in value else value) for name, value in request["query"]]
        target = quote(path, safe="/-_.~") + ("?" + urlencode(query, quote_via=quote) if query else "")
        if request.get("auth") != "none" and "form" not in request:
            self.sign(method, target, headers, body)
        answer = await exchange(self.signer.port, raw_request(method, target, headers, body), method)
        if answer is not None:
            self.learn(method, path, dict(query), answer)
        return answer

    def learn(self, method, path, query, answer):
        if method == "POST" and "uploads" in query and answer.status == 200:
            self.uploads[path] = answer.element("UploadId")
            self.parts[path] = {}
        if not query and answer.status == 200 and "etag" in answer.headers:
            self.etags[path] = answer.headers["etag"].strip('"')
        if "partNumber" in query and "uploadId" in query and answer.status == 200:
            etag = answer.headers.get("etag") or (answer.element("ETag") or "").replace("&#34;", "")
            self.parts.setdefault(path, {})[query["partNumber"]] = etag.strip('"')

    def body(self, entry, headers):
        request, path = entry["request"], entry["request"]["path"]
        if "form" in request:
            return self.form(request, headers)
        if "body_plaintext" in request:
            wanted = request["body_plaintext"]
            return plain(wanted["label"], wanted["size"])
        body = request.get("body") or ""
        if isinstance(body, dict):
            return b"<" + b" " * (body["size"] - 1)
        found = {} if entry["name"].endswith("wrong etag") else self.parts.get(path, {})
        body = re.sub(
            r"(<PartNumber>(\d+)</PartNumber><ETag>)\{etag32\}", lambda m: m[1] + found.get(m[2], "0" * 32), body
        )
        return body.encode()

    def form(self, request, headers):
        fields = dict(request["form"])
        rule = fields.pop("policy, x-amz-*")
        left_out = set(rule.partition("except: ")[2].replace("none", "").split(", ")) - {""}
        when = datetime.datetime.now(datetime.UTC)
        date = when.strftime("%Y%m%d")
        fields |= {
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": f"{ACCESS}/{date}/{REGION}/s3/aws4_request",
            "x-amz-date": when.strftime(sigv4.AMZ_DATE),
        }
        bucket = request["path"].strip("/")
        conditions = [{"bucket": bucket}, *({name: value} for name, value in fields.items() if name not in left_out)]
        expires = (when + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        policy = base64.b64encode(json.dumps({"expiration": expires, "conditions": conditions}).encode()).decode()
        key = sigv4.signing_key(SECRET, date, REGION)
        fields |= {"policy": policy, "x-amz-signature": hmac.digest(key, policy.encode(), "sha256").hex()}
        headers["Content-Type"] = "multipart/form-data; boundary=edge"
        parts = [f'--edge\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
        parts.append(
            f'--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{request["file"]}\r\n'
        )
        return "".join([*parts, "--edge--\r\n"]).encode()

    def sign(self, method, target, headers, body):
        when = self.signer.when("")
        date = when.strftime(sigv4.AMZ_DATE)
        headers |= {"X-Amz-Date": date, "X-Amz-Content-Sha256": sha256(body)}
        signed = {
            name.lower(): " ".join(value.split())
            for name, value in headers.items()
            if name.lower() == "host" or name.lower().startswith(("x-amz", "x-minio"))
        }
        seal = self.signer.signature("", method, target, signed, sha256(body), when=when)
        names = ";".join(sorted(signed))
        scope = f"{ACCESS}/{date[:8]}/{REGION}/s3/aws4_request"
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={seal}"
