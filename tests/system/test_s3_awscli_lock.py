"""Disable, enable and delete a key, seen with awscli: seconds until it is told so, with and without an event stream.

`pytest -s tests/system/test_s3_awscli_lock.py` prints them. One run of awscli takes about a second; the exact times
are measured by benchmarks/s3_keys.py.
"""

import asyncio
import os
import re
import time

import peers
import pytest
from system.keys_world import ROOT, client, off, serving
from system.test_s3_keys import Chain

from strongroom.errors import NotFound
from strongroom.sdk.kes import KesClient

WITHIN = 5.0  # seconds: lock_within of both servers
LOCKED, GONE = "KMS.DisabledException", "kms:KeyNotFound"
UNDER = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "project"}


async def no_events(self, after="", endpoint=""):
    """Be a key server without a stream, as the original is."""
    raise NotFound("no such route")
    yield {}


class Aws:
    """Runs awscli against a server."""

    def __init__(self, program, running, folder):
        self.words = [program, "--endpoint-url", running.url, "--region", "us-east-1", "s3api"]
        self.folder = folder
        self.environment = {
            **os.environ, "AWS_ACCESS_KEY_ID": ROOT[0], "AWS_SECRET_ACCESS_KEY": ROOT[1], "AWS_MAX_ATTEMPTS": "1",
        }  # fmt: skip

    async def told(self, *words):
        """Return what a command is told: an error's code, "" when it succeeds."""
        process = await asyncio.create_subprocess_exec(
            *self.words, *words, env=self.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        _, text = await process.communicate()
        found = re.search(rb"\(([\w.:]+)\)", text)
        assert (process.returncode == 0) == (found is None), text
        return found[1].decode() if found else ""

    def get(self):
        return self.told("get-object", "--bucket", "vault", "--key", "k", str(self.folder / "out"))

    async def until(self, wanted, limit):
        """Return the seconds until a GET is told so."""
        begun = time.monotonic()
        while (code := await self.get()) != wanted:
            assert time.monotonic() - begun < limit, code
        return time.monotonic() - begun


@pytest.mark.parametrize(("stream", "bound"), [(True, 1.0), (False, WITHIN)], ids=("streaming", "streamless"))
async def test_awscli_is_told_within_the_bound(tmp_path, monkeypatch, stream, bound):
    program = peers.find("aws")
    if not stream:
        monkeypatch.setattr(KesClient, "events", no_events)
    (tmp_path / "keys").mkdir()
    chain, name = Chain(tmp_path), "with a stream" if stream else "without a stream"
    async with chain.kes(within=WITHIN) as kes, serving(chain, kes.port, lock_within=WITHIN) as running:
        await running.service.create("project")
        s3 = client(running)
        await off(s3.create_bucket, Bucket="vault")
        await off(s3.put_object, Bucket="vault", Key="k", Body=b"secret", **UNDER)
        aws = Aws(program, running, tmp_path)
        async with chain.service(kes.port) as operator:  # not by way of the S3 server
            assert await aws.get() == ""
            await operator.change("disable", "project")
            taken = await aws.until(LOCKED, bound + 10)
            print(f"{name}: GET is {LOCKED} {taken:.2f} s after disable was answered")
            put = ("put-object", "--bucket", "vault", "--key", "p", "--server-side-encryption", "aws:kms")
            assert await aws.told(*put, "--ssekms-key-id", "project") == LOCKED
            assert await aws.told("head-object", "--bucket", "vault", "--key", "k") == ""
            assert await aws.told("list-objects-v2", "--bucket", "vault") == ""
            await operator.change("enable", "project")
            taken = await aws.until("", bound + 10)
            print(f"{name}: GET works {taken:.2f} s after enable was answered")
            await operator.delete("project", 0.5)
            taken = await aws.until(GONE, bound + 10)
            print(f"{name}: GET is {GONE} {taken:.2f} s after a deletion due in 0.5 s was answered")
