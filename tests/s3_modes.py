"""The kinds of encryption as headers, uploads in parts, and rows that somebody changes behind the server's back."""

import base64
import hashlib
import re
from dataclasses import replace

METHOD = "x-amz-server-side-encryption"


def customer(letter="a"):
    """Return the headers of a customer's key."""
    key = letter.encode() * 32
    digest = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()
    words = {"algorithm": "AES256", "key": base64.b64encode(key).decode(), "key-md5": digest}
    return {f"{METHOD}-customer-{name}": value for name, value in words.items()}


SEALED = {
    "SSE-S3": {METHOD: "AES256"},
    "SSE-KMS": {METHOD: "aws:kms", f"{METHOD}-aws-kms-key-id": "my-key"},
    "DSSE-KMS": {METHOD: "aws:kms:dsse", f"{METHOD}-aws-kms-key-id": "my-key"},
    "SSE-C": customer(),
}  # what a writer says
MODES = {"plain": {}, **SEALED}


def to_read(mode):
    """Return what a reader must say."""
    return customer() if mode == "SSE-C" else {}


class Upload:
    """An unfinished upload to a server in memory. more: headers of each request."""

    def __init__(self, world, path, mode="plain", headers=(), more=()):
        self.world, self.path, self.more = world, path, {**to_read(mode), **dict(more)}
        self.created = world.send("POST", path, "uploads", {**MODES[mode], **dict(more), **dict(headers)}, tls=True)
        self.id = re.search(rb"<UploadId>(.*?)<", self.created.body)[1].decode()
        self.parts = {}

    def part(self, number, content, headers=()):
        """Send a part, or copy one."""
        query = f"partNumber={number}&uploadId={self.id}"
        answer = self.world.send("PUT", self.path, query, {**self.more, **dict(headers)}, content, tls=True)
        copied = re.search(rb"<ETag>&#34;(.*?)&#34;", answer.body)
        self.parts[number] = copied[1].decode() if copied else answer.headers.get("etag", "")
        return answer

    def complete(self, parts=None, path=None):
        """Make the object of these parts, number → ETag, or of all that were sent."""
        listed = (parts or self.parts).items()
        inner = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in listed)
        body = f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()
        return self.world.send("POST", path or self.path, f"uploadId={self.id}", self.more, body, tls=True)


def sender(world, *statuses):
    """Return a function that sends a request over TLS which must be answered with one of these."""

    def call(method, path, query="", headers=(), body=b""):
        answer = world.send(method, path, query, headers, body, tls=True)
        assert answer.status in statuses, answer.body
        return answer

    return call


def rows(world, bucket="data"):
    """Return the rows of a bucket: key → versions, newest first."""
    return world.box.store._buckets[bucket].keys


def change(world, key, **changes):
    """Change the newest row of a key."""
    versions = rows(world)[key]
    rows(world)[key] = [replace(versions[0], **changes), *versions[1:]]
