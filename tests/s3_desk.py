"""The admin API on a memory store, and a client that signs: for tests of what it answers."""

import hashlib
import json
import time

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from strongroom.crypto import madmin
from strongroom.errors import AlreadyExists
from strongroom.messages import Peer, Request
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.principals import Credential
from strongroom.s3.handlers.access import PolicyAccess
from strongroom.s3.handlers.admin.desk import Desk, ServerFacts
from strongroom.s3.handlers.admin.entrance import AdminEntrance
from strongroom.s3.handlers.call import Box, BoxSettings
from strongroom.s3.handlers.entrance import Entrance
from strongroom.s3.handlers.iam_store import ClearEntries, IamStore
from strongroom.s3.storage.memory import MemoryStore
from strongroom.s3.wire.authenticate import Verifier

ROOT = ("minio", "minio123")
V3, KMS = "/minio/admin/v3/", "/minio/kms/v1/"


class Whole:
    """A body that has arrived."""

    def __init__(self, data):
        self.buffered = data
        self.length = len(data)

    async def read(self, limit):
        assert len(self.buffered) <= limit
        return self.buffered


class Control:
    def __init__(self):
        self.done = []

    def restart(self):
        self.done.append("restart")

    def stop(self):
        self.done.append("stop")


class Keys:
    kind, default_key = "MinIO KES", "k1"

    def __init__(self):
        self.made = ["k1"]

    async def endpoints(self):
        return {"https://127.0.0.1:7373": "online"}

    async def names(self, prefix):
        return [name for name in self.made if name.startswith(prefix)]

    async def create(self, name):
        if name in self.made:
            raise AlreadyExists(name)
        self.made.append(name)

    async def change(self, verb, name):
        return {"state": verb}

    async def delete(self, name, after_seconds):
        return {"in": after_seconds}


class Server:
    """An entrance with all its parts, and a client that signs."""

    def __init__(self):
        self.system = MemoryStore()
        self.directory = Directory(Credential(*ROOT, root=True))
        self.control = Control()
        box = Box(
            self.system,
            self.system,
            Verifier(self.directory),
            PolicyAccess(self.directory),
            None,
            BoxSettings(),
            time.time,
        )
        self.iam = IamStore(self.directory, self.system, ClearEntries(), time.time)
        facts = ServerFacts("127.0.0.1:9000", "test", time.time(), "d" * 36, "/tmp")
        self.desk = Desk(box, self.iam, facts, self.control, None, Keys())
        self.entrance = Entrance(box, (AdminEntrance(self.desk),))

    async def call(self, method, path, body=b"", who=ROOT, **query):
        url = "http://127.0.0.1:9000" + path
        request = AWSRequest(method, url, data=body, params=query)
        request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(body).hexdigest()
        if who:
            S3SigV4Auth(Credentials(*who), "s3", "").add_auth(request)
        sent = request.prepare()
        path, _, text = sent.url.removeprefix("http://127.0.0.1:9000").partition("?")
        headers = {
            name.lower(): value if isinstance(value, str) else value.decode() for name, value in sent.headers.items()
        }
        headers["host"] = "127.0.0.1:9000"
        target = f"{path}?{text}" if text else path
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        answer = await self.entrance(
            Request(method, target, path, text, headers, raw, Peer("127.0.0.1", 1)), Whole(body)
        )
        if answer.after:
            answer.after()
        return answer

    async def sealed(self, method, path, record, who=ROOT, **query):
        return await self.call(
            method,
            path,
            madmin.seal(who[1].encode(), json.dumps(record).encode(), madmin.Scheme.PBKDF2_AES_GCM),
            who,
            **query,
        )

    async def add_user(self, name="alice", secret="alicesecret"):
        answer = await self.sealed("PUT", V3 + "add-user", {"secretKey": secret, "status": "enabled"}, accessKey=name)
        assert answer.status == 200, answer
        return name, secret
