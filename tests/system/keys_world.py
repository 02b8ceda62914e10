"""An S3 server in this process with key servers of ours behind it, a client of each kind, and the admin API."""

import asyncio
import contextlib
import dataclasses
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from system.test_s3_keys import Chain

from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KesSettings, KmsSettings
from strongroom.crypto.secret import Secret
from strongroom.s3 import app

ROOT = ("minio", "minio123")
DEFAULT = "minio-key-1"


def settings(chain: Chain, *ports: int, **changes) -> app.Settings:
    """Return the settings of an S3 server in chain's folder, with the key servers at these ports."""
    pair, ca = chain.pair("s3"), str(chain.pair("authority").certificate)
    endpoints = tuple(f"https://127.0.0.1:{port}" for port in ports)
    kes = KesSettings(endpoints, DEFAULT, "", str(pair.key), str(pair.certificate), "", ca)
    root = RootCredentials(ROOT[0], Secret(ROOT[1].encode()))
    made = app.Settings(root, chain.folder / "data", "127.0.0.1", 0, kms=KmsSettings(kes=kes))
    return dataclasses.replace(made, **changes)


@contextlib.asynccontextmanager
async def serving(*arguments, **changes):
    """Run an S3 server."""
    running = await app.start(settings(*arguments, **changes))
    try:
        yield running
    finally:
        await running.stop(0.1)


def client(running, user=ROOT):
    """Return a boto3 client that sends every request once."""
    return boto3.client(
        "s3",
        endpoint_url=running.url,
        aws_access_key_id=user[0],
        aws_secret_access_key=user[1],
        region_name="us-east-1",
        config=Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=32,
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
        ),
    )  # fmt: skip


def admin(running, method, path, body=b"", user=ROOT, **query):
    """Call the admin API; return status and document ({} for none). Argument names: `_` stands for `-`."""
    words = urllib.parse.urlencode({name.replace("_", "-"): value for name, value in query.items()})
    return signed(method, f"{running.url}{path}" + (f"?{words}" if words else ""), user, body)


def signed(method, url, user, body=b""):
    """Send a request that is signed as madmin does; return status and document."""
    made = AWSRequest(method, url, data=body)
    S3SigV4Auth(Credentials(*user), "s3", "").add_auth(made)
    content = body if body or method != "GET" else None
    request = urllib.request.Request(url, content, dict(made.headers), method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, data = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, data = error.code, error.read()
    return status, json.loads(data) if data[:1] in (b"{", b"[") else {}


def signed_get(url, user):
    """Return status and document of a GET."""
    return signed("GET", url, user)


async def key(running, verb, name, **query):
    """Do a key command of the admin API and return its document; it must succeed."""
    method = {"usage": "GET", "info": "GET", "delete": "DELETE"}.get(verb, "POST")
    status, document = await off(admin, running, method, f"/minio/kms/v1/key/{verb}", key_id=name, **query)
    assert status == 200, document
    return document


async def off(call, *arguments, **named):
    """Run a blocking call in a thread, so that the servers of this process go on."""
    return await asyncio.to_thread(call, *arguments, **named)


async def code(call, **named) -> str:
    """Make a boto call in a thread; return its error code, "" when it succeeds."""
    try:
        answer = await off(call, **named)
    except ClientError as error:
        return error.response["Error"]["Code"]
    if "Body" in answer:
        await off(answer["Body"].read)
    return ""


async def seconds_until(condition, limit=20.0) -> float:
    """Return how many seconds an async condition took to hold; fail after limit."""
    begun = time.monotonic()
    while not await condition():
        assert time.monotonic() - begun < limit, "it did not happen"
        await asyncio.sleep(0.02)
    return time.monotonic() - begun
