"""Every recorded listing of the original S3 server, element by element; its cache markers are not imitated."""

import asyncio
import base64
import re

import pytest
from vectors.s3_replay import ACCESS, Signer, exchange, load, overrides, raw_request, sha256

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings, StaticSettings
from strongroom.crypto.secret import Secret
from strongroom.s3 import app
from strongroom.s3.wire import sigv4

ENTRIES = load("s3/listing.json")
LISTED = [entry for entry in ENTRIES if "query" in entry]
OVERRIDES = overrides("s3")
OWNER = "02d6176db174dc93cb1b899f7c6078f08654445fe8cf1b6ce98d8855f66bdbf4"
SHORT = {
    "<E/>": "<ETag>&#34;d41d8cd98f00b204e9800998ecf8427e&#34;</ETag><Size>0</Size>",
    "<T/>": "<LastModified></LastModified>",
    "<S/>": "<StorageClass>STANDARD</StorageClass>",
    "<O/>": f"<Owner><ID>{OWNER}</ID><DisplayName>minio</DisplayName></Owner>",
}


class Replay:
    """One server with the recorded set-ups, and the answers by name."""

    def __init__(self, kms, folder=None):
        self.kms, self.folder = kms, folder
        self.answers = {}
        self.versions, self.uploads = [], []

    async def run(self):
        settings = app.Settings(RootCredentials(ACCESS, Secret(b"minio123")), self.folder, "127.0.0.1", 0, kms=self.kms)
        running = await app.start(settings)
        self.signer = Signer(running.port)
        try:
            await self.prepare()
            for entry in LISTED:
                query = entry["query"]
                if "history-page" in entry["name"]:  # the recorded ids are those of the recorded server
                    given = re.search("<VersionIdMarker>(.*?)</", entry["body"])[1]
                    query = re.sub("version-id-marker=[^&]*", f"version-id-marker={given}", query)
                target = f"/{entry['bucket']}?{query}" if entry.get("bucket") else f"/?{entry['query']}"
                self.answers[entry["name"]] = await self.send("GET", self.fill(target))
        finally:
            await running.stop(0.1)

    async def send(self, method, target, body=b"", headers=None):
        when = self.signer.when("")
        headers = {"Host": f"127.0.0.1:{self.signer.port}", **(headers or {})}
        headers |= {"X-Amz-Date": when.strftime(sigv4.AMZ_DATE), "X-Amz-Content-SHA256": sha256(body)}
        signed = {name.lower(): value for name, value in headers.items()}
        seal = self.signer.signature("", method, target, signed, sha256(body), when=when)
        names = ";".join(sorted(signed))
        scope = f"{ACCESS}/{when:%Y%m%d}/us-east-1/s3/aws4_request"
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={seal}"
        if method in ("PUT", "POST"):
            headers["Content-Length"] = str(len(body))
        return await exchange(self.signer.port, raw_request(method, target, headers, body), method)

    async def prepare(self):
        for bucket in ("err-lst", "err-lstv", "err-mp"):
            await self.send("PUT", f"/{bucket}")
        for key in ENTRIES[0]["keys"]:
            answer = await self.send("PUT", key["target"])
            assert (answer.status, answer.element("Code")) == (key["status"], key.get("code")), key
        await self.history()
        for key in ("u/1", "u/1", "u/2", "u/sub/x", "u%203", "u%2B4", "%C3%BC", "v"):
            answer = await self.send("POST", f"/err-mp/{key}?uploads=")
            self.uploads.append(answer.element("UploadId"))

    async def history(self):
        await self.send("PUT", "/err-lstv/v/null")
        await self.status("Enabled")
        steps = ["+a", "+a", "+a%20b", "-a", "+v/1", "-v/1", "+v/1", "+v/null", "-v/2", "+w%2Bx", "-w%2Bx", "+z"]
        for step in steps:
            answer = await self.send("PUT" if step[0] == "+" else "DELETE", "/err-lstv/" + step[1:])
            self.versions.append(answer.headers["x-amz-version-id"])
        await self.status("Suspended")
        await self.send("PUT", "/err-lstv/z")
        await self.send("DELETE", "/err-lstv/v/1")

    async def status(self, status):
        body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>".encode()
        await self.send("PUT", "/err-lstv?versioning=", body)

    def fill(self, text):
        for number, version in enumerate(self.versions, 1):
            text = text.replace(f"<version-{number}>", version)
        for number, upload in enumerate(self.uploads, 1):
            text = text.replace(f"<upload-{number}>", upload)
        return text


def normal(text, *, delimiter):
    """Return a document without what differs from server to server: times, cache markers, the encoding of tokens."""
    for short, whole in SHORT.items():
        text = text.replace(short, whole)
    text = re.sub(r"<(LastModified|CreationDate|Initiated)>.*?</\1>", r"<\1></\1>", text)
    name = "NextContinuationToken|ContinuationToken"
    text = re.sub(rf"<({name})>(.*?)</", lambda m: f"<{m[1]}>{base64.b64decode(m[2]).decode()}</", text)
    text = re.sub(r"(\[|%5B)minio_cache.*?(\]|%5D)</", "</", text)
    text = re.sub(r"<(UserMetadata|Internal)>.*?</\1>", "", text)
    if not delimiter:
        text = re.sub(r"<NextMarker>.*?</NextMarker>", "", text)
    return text


def kms():
    return KmsSettings(static=StaticSettings("my-key", Secret(bytes(range(32)))), auto_encryption="AES256")


@pytest.fixture(scope="module", params=["plain", "encrypted"])
def replayed(request, tmp_path_factory):
    plain = request.param == "plain"
    replay = Replay(KmsSettings() if plain else kms(), None if plain else tmp_path_factory.mktemp("s3") / "data")
    asyncio.run(replay.run())
    return replay


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry["name"])
def test_recorded_listing(entry, replayed):
    answer = replayed.answers[entry["name"]]
    override = OVERRIDES.get(entry["name"])
    assert answer.status == entry["status"]
    delimiter = "delimiter" in entry["query"]
    text = normal(answer.text, delimiter=delimiter)
    if override is None:
        assert text.split("><") == normal(replayed.fill(entry["body"]), delimiter=delimiter).split("><")
        return
    for element, texts in override.get("elements", {}).items():
        assert re.findall(rf"<{element}>(.*?)</{element}>", text) == texts
