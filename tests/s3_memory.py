"""A whole S3 server in memory without a socket, its users, and requests that are signed by hand."""

import asyncio
import datetime
import json
import re

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KmsSettings, StaticSettings
from strongroom.crypto.secret import Secret
from strongroom.messages import Peer, Request, Stream, Windows
from strongroom.net.body import Buffered
from strongroom.s3 import app
from strongroom.s3.domain.iam.records import Account, NamedPolicy, User
from strongroom.s3.wire import sigv4

KMS = KmsSettings(static=StaticSettings("my-key", Secret(bytes(range(32)))))
ROOT = ("rootuser", "rootpassword")
ANONYMOUS = ("", "")


class Answer:
    """A response with its body in one piece."""

    def __init__(self, response):
        assert not isinstance(response.body, Stream)
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers}
        pieces = response.body
        self.body = b"".join(map(bytes, pieces.source)) if isinstance(pieces, Windows) else bytes(pieces)
        for name, value in response.headers:
            assert not re.search("[\r\n\0]", name + value), (name, value)
            value.encode("latin-1")

    @property
    def code(self):
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        return found[1].decode() if found else self.headers.get("x-minio-error-code", "")


class Memory:
    """The server, and a client that signs."""

    def __init__(self, **settings):
        self.loop = asyncio.new_event_loop()
        root = RootCredentials(ROOT[0], Secret(ROOT[1].encode()))
        made = app.Settings(root, None, "127.0.0.1", 0, **{"kms": KMS, **settings})
        self.running = self.loop.run_until_complete(app.start(made))
        self.entrance = self.running.server._shared.handler
        self.box = self.entrance.box
        self.directory = self.box.access._directory

    def user(self, name, *statements):
        """Make a user who may do what these statements say; return its credential."""
        text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.directory.put("policies", f"of-{name}", NamedPolicy(document=text))
        self.directory.put("users", name, User(secret=f"{name}secret", policies=(f"of-{name}",) if statements else ()))
        return name, f"{name}secret"

    def account(self, name, parent):
        """Make a service account of a user; return its credential."""
        self.directory.put("accounts", name, Account(secret=f"{name}secret", parent=parent))
        return name, f"{name}secret"

    def send(self, method, path, query="", headers=(), body=b"", *, who=ROOT, payload=None, tls=False, when=None):
        """Send a signed request, an unsigned one for ANONYMOUS; return the Answer."""
        moment = when or datetime.datetime.now(datetime.UTC)
        date = moment.strftime(sigv4.AMZ_DATE)
        plain = {"host": "h", **dict(headers)}
        if who is not ANONYMOUS:
            key = sigv4.signing_key(who[1], date[:8], "us-east-1")
            signed = sigv4.sign(
                method,
                path,
                sigv4.parse_query(query),
                {name: value.encode("latin-1").decode("utf-8", "surrogateescape") for name, value in plain.items()},
                access_key=who[0],
                key=key,
                region="us-east-1",
                amz_date=date,
                payload_hash=payload or sigv4.UNSIGNED_PAYLOAD,
            )
            plain = signed | plain  # what is signed as text goes over the wire as its bytes
        return self.raw(method, path, query, plain, body, tls=tls)

    def raw(self, method, path, query, headers, body=b"", *, tls=False):
        """Send a request as it is."""
        headers = {**headers, "content-length": str(len(body))}
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        target = f"{path}?{query}" if query else path
        request = Request(method, target, path, query, headers, raw, Peer("127.0.0.1", 1, tls=tls))

        async def answer():
            return await self.entrance(request, Buffered(body, len(body)))

        return Answer(self.loop.run_until_complete(answer()))

    def policy(self, bucket, *statements):
        """Put a bucket's policy."""
        text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}).encode()
        return self.send("PUT", f"/{bucket}", "policy", {}, text)

    def close(self):
        self.loop.run_until_complete(self.running.stop(0.1))
        self.loop.close()


def with_object(key, body):
    """Yield, for a fixture, a server whose bucket `data`, with object lock, holds one object."""
    made = Memory()
    made.send("PUT", "/data", "", {"x-amz-bucket-object-lock-enabled": "true"})
    made.send("PUT", f"/data/{key}", "", {}, body)
    yield made
    made.close()


def allow(action, resource, **more):
    """Return a statement of a user's policy."""
    return {"Effect": "Allow", "Action": action, "Resource": f"arn:aws:s3:::{resource}", **more}


def deny(action, resource, **more):
    """Return a statement of a user's policy."""
    return {**allow(action, resource, **more), "Effect": "Deny"}
