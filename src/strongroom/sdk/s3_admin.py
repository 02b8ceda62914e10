"""The admin and key API of an S3 server: signed requests below /minio/ (mc.md 10, sse.md 12).

Bodies are bytes here; those that travel encrypted are sealed and opened by the caller (crypto.admin_payload).
"""

import json
from collections.abc import Mapping

from strongroom.net.blocking import Answer
from strongroom.s3.wire import batch_template
from strongroom.sdk.s3 import Client
from strongroom.sdk.s3_body import Bytes
from strongroom.sdk.s3_call import Upload, expect

ADMIN, KMS, HEALTH = "/minio/admin/v3", "/minio/kms/v1", "/minio/health"
KEYROTATE = batch_template.KEYROTATE  # for servers that give no template
REGION = ""  # admin requests are signed for no region (mc.md 6)


class Admin:
    """The admin side of a server, with the credentials of a client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def open(self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes | None = None, *,
             base: str = ADMIN, tries: int = 0, headers: tuple[tuple[str, str], ...] = ()) -> Answer:  # fmt: skip
        """Send one request; return the answer, its body still to be read (streams)."""
        upload = None if body is None else Upload(Bytes(body))
        return self.client.caller.send(method, query=list((query or {}).items()), headers=headers, upload=upload,
                                       region=REGION, path=f"{base}/{path}", tries=tries)  # fmt: skip

    def call(self, method: str, path: str, query: Mapping[str, str] | None = None, body: bytes | None = None, *,
             base: str = ADMIN, tries: int = 0) -> bytes:  # fmt: skip
        """Send one request; return the answer's body. Raises S3Error, Lost."""
        return expect(self.open(method, path, query, body, base=base, tries=tries))

    def get_json(self, path: str, query: Mapping[str, str] | None = None, *, base: str = ADMIN,
                 tries: int = 0) -> object:  # fmt: skip
        """GET a document; {} for an empty answer."""
        data = self.call("GET", path, query, base=base, tries=tries)
        return json.loads(data) if data.strip() else {}

    # ---- keys ----

    def key(self, method: str, verb: str, query: Mapping[str, str]) -> object:
        """Call /minio/kms/v1/key/VERB; return the document it answers, {} for none."""
        data = self.call(method, f"key/{verb}", query, b"" if method != "GET" else None, base=KMS)
        return json.loads(data) if data.strip() else {}

    # ---- health: without a signature ----

    def health(self, path: str, query: str = "") -> Answer:
        """GET a health page; any status is an answer."""
        caller = self.client.caller
        pool, _ = caller.place("", "")
        target = f"{HEALTH}/{path}{'?' + query if query else ''}"
        return pool.request("GET", target, [("User-Agent", caller.agent)])
