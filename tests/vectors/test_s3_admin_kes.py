"""The recorded admin calls with a key server: keys, batch rotation, and the key server denying and away."""

import asyncio
import contextlib
import json
import re

import pytest
from vectors.sse_replay import Kes
from vectors.test_s3_admin import OVERRIDES, RECORDED, Client, compare, metrics_differ, trimmed_differ

from strongroom.config.environment import RootCredentials
from strongroom.crypto.secret import Secret
from strongroom.s3 import app
from strongroom.sdk import s3 as sdk
from strongroom.sdk.s3_body import Bytes

CASES = [entry for entry in RECORDED if entry.get("server") == "http-kes" or entry["name"].startswith("kes down")]
# A check without a request asks what the entry of the same words asked while the key server was there.
CHECKS = {"kes down: admin info services": "/minio/admin/v3/info",
          "kes down: metrics v2 lines with kms": "/minio/v2/metrics/cluster"}  # fmt: skip
KMS = [("x-amz-server-side-encryption", "aws:kms"), ("x-amz-server-side-encryption-aws-kms-key-id", "my-key")]
CONTEXT = ("x-amz-server-side-encryption-context", "eyJhIjoiYiJ9")
OBJECTS = {
    "p/s3": [("x-amz-server-side-encryption", "AES256")],
    "p/kms": KMS,
    "p/kmsctx": [*KMS, CONTEXT],
    "p/plain": [],
    "p/tagged": [("x-amz-server-side-encryption", "AES256"), ("x-amz-tagging", "name=pick1")],
}


class World:
    """The two servers, and what the last batch job was called."""

    def __init__(self, kes, running):
        self.kes, self.running = kes, running
        self.client = Client(running.port)
        who = sdk.Credentials("minio", "minio123")
        self.s3 = sdk.Client(sdk.Settings(f"http://127.0.0.1:{running.port}", who))
        self.job, self.phase = "", ""
        self.endpoint = f"https://127.0.0.1:{kes.app.port}"

    async def prepare(self, name):
        """Do what the recorder did before an entry."""
        phase = name.partition(":")[0]
        if phase != self.phase and phase in ("kes denies", "kes down"):
            await self.kes.phase({"kes denies": "kes denies the identity"}.get(phase, phase))
            self.running.service.events.forget(None)  # as when its time has passed
        self.phase = phase
        if name == "batch: wrong apiVersion":
            for key, headers in OBJECTS.items():
                kind = ("Content-Type", "binary/octet-stream")
                await asyncio.to_thread(self.s3.put, "rot", key, Bytes(b"content"), [kind, *headers])

    async def ask(self, entry):
        """Send a request; return status, headers, body."""
        return await asyncio.to_thread(self.client.send, entry)

    async def finished(self):
        """Wait for the last job; return its record."""
        for _ in range(200):
            query = [["jobId", self.job]]
            _, _, content = await self.ask(request("GET", "/minio/admin/v3/status-job", query))
            found = json.loads(content)["LastMetric"]
            if found["complete"] or found["failed"]:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(found)

    async def objects(self):
        """Return each object's key."""
        name = "x-amz-server-side-encryption-aws-kms-key-id"
        heads = {key: await asyncio.to_thread(self.s3.head, "rot", key) for key in OBJECTS}
        return {key: head.headers.get(name, "").removeprefix("arn:aws:kms:") for key, head in heads.items()}


def request(method, path, query=()):
    return {"name": path, "request": {"method": method, "path": path, "query": query}}


def ours(entry):
    """Return the recorded entry with our own changes in it."""
    return {**entry, "response": entry["response"] | OVERRIDES.get(entry["name"], {})}


async def try_one(world, entry):
    """Return what differs, "" for nothing."""
    await world.prepare(entry["name"])
    want = ours(entry)["response"]
    if "json" in want:
        return await job_differs(world, entry, want)
    sent = entry if "request" in entry else request("GET", CHECKS[entry["name"]])
    status, headers, content = await world.ask(sent)
    if "lines" in want:
        return metrics_differ(want["lines"], content.decode())
    if "json_trimmed" in want:
        return trimmed_differ(want["json_trimmed"], json.loads(content))
    if "kmsStatus" in want:
        states = [each["status"] for each in json.loads(content)["services"]["kmsStatus"]]
        return "" if states == [each["status"] for each in want["kmsStatus"]] else f"{states}"
    if sent["request"]["path"].endswith("/list-jobs"):
        recorded = json.loads(entry["response"]["body"])["jobs"]
        members = {name for job in json.loads(content)["jobs"] for name in job}
        return "" if members == {name for job in recorded for name in job} else f"{content!r}"
    if sent["request"]["path"].endswith("/apis") and want["status"] == 200 == status:
        return routes_differ(json.loads(want["body"]), json.loads(content))
    if status == 200 and sent["request"]["path"].endswith("/start-job"):
        world.job = json.loads(content)["id"]
        await world.finished()
        assert re.fullmatch(r"keyrotate-.+", world.job)
        return "" if want["status"] == 200 else f"status {status}: {content!r}"
    content = content.replace(world.endpoint.encode(), b"https://127.0.0.1:27410")
    compare(entry, f"127.0.0.1:{world.client.port}", status, headers, content)
    return ""


def routes_differ(wanted, found):
    """Compare the key server's routes, in any order; ours are also there under their own names."""
    rows = [{(one["Method"], one["Path"]) for one in routes} for routes in (wanted, found)]
    return "" if rows[0] <= rows[1] else f"{rows[0] - rows[1]} are missing"


async def job_differs(world, entry, want):
    """Compare a finished job's figures and the objects' keys after it."""
    found = await world.finished()
    wanted = want["json"]["LastMetric"]
    figures = [(one["complete"], one["failed"], one["rotation"]["objects"], one["rotation"]["objectsFailed"])
               for one in (wanted, found)]  # fmt: skip
    if figures[0] != figures[1]:
        return f"{figures[1]} instead of {figures[0]}"
    after = OVERRIDES.get(entry["name"], {}).get("objects_after", entry.get("objects_after", {}))
    # Which key an SSE-S3 object lies under is not in its head.
    keys = {key: one["kms_key"] for key, one in after.items() if key.startswith("p/kms")}
    objects = await world.objects()
    return "" if all(objects[key] == name for key, name in keys.items()) else f"{objects} instead of {keys}"


async def test_recorded_admin_calls(tmp_path):
    failures = []
    async with contextlib.AsyncExitStack() as stack:
        kes = Kes(tmp_path)
        await kes.start()
        stack.push_async_callback(kes.stop)
        await kes.client.delete("key-2")
        await kes.client.create("my-other")
        root = RootCredentials("minio", Secret(b"minio123"))
        settings = app.Settings(root, None, "127.0.0.1", 0, kms=kes.kms(), public_metrics=True)
        running = await app.start(settings)
        stack.push_async_callback(running.stop, 0.1)
        world = World(kes, running)
        stack.callback(world.s3.close)
        for entry in CASES:
            try:
                problem = await try_one(world, entry)
            except (AssertionError, TypeError, KeyError) as error:
                problem = repr(error)
            if problem:
                failures.append(f"{entry['name']}: {problem}")
    assert not failures, "\n".join(failures)
