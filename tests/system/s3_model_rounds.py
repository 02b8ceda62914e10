"""Rounds of the model's players with jobs beside them, a SIGKILL at the end of each. For the suite and the soak run."""

import random
import threading
import time
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from s3_model import LOCKED, PLAIN, VERSIONED, Player
from s3_process import S3Process
from system.keys_world import signed

BUCKETS = (PLAIN, VERSIONED, LOCKED)
USER = ("minio", "minio123")
REWRAP = "keyrotate: {{apiVersion: v1, bucket: {bucket}, encryption: {{type: sse-kms, key: my-key}}}}"
ENCRYPT = (
    "keyrotate: {{apiVersion: v1, bucket: {bucket}, encryption: {{type: {kind}}}, flags: "
    "{{plaintextOnly: true, retry: {{attempts: 30, delay: 10ms}}}}}}"
)
ORDERS = (REWRAP, ENCRYPT)


def start_job(server: S3Process, text: str, **names: str) -> str:
    """Start a batch job and return its id."""
    status, job = signed("POST", f"{server.url}/minio/admin/v3/start-job", USER, text.format(**names).encode())
    assert status == 200, job
    return job["id"]


def job_status(server: S3Process, job: str) -> dict:
    status, found = signed("GET", f"{server.url}/minio/admin/v3/status-job?jobId={quote(job)}", USER)
    assert status == 200, found
    return found["LastMetric"]


class Jobs(threading.Thread):
    """Starts one job after the other, re-wrapping keys and encrypting plain objects where they lie, until the kill."""

    def __init__(self, server: S3Process, killed: threading.Event, seed: int) -> None:
        super().__init__()
        self.server, self.killed, self.random = server, killed, random.Random(seed)
        self.started: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.killed.wait(0.05):
                names = {"bucket": self.random.choice(BUCKETS), "kind": self.random.choice(("sse-s3", "sse-kms"))}
                self.started.append(start_job(self.server, self.random.choice(ORDERS), **names))
        except BaseException as error:
            if not self.killed.wait(5):  # the kill may be a moment away
                self.failure = error


def make_buckets(server: S3Process) -> None:
    client = server.client()
    client.create_bucket(Bucket=PLAIN)
    client.create_bucket(Bucket=VERSIONED)
    client.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    client.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)


def play(server: S3Process, rounds: int, players: int = 6, seconds: tuple[float, float] = (1.0, 2.0)) -> dict[str, int]:
    """Let players play and jobs run, kill, compare with the model; at last seal all that is plain. Return counts."""
    make_buckets(server)
    seed = random.randrange(2**32)
    known, counts = None, {"operations": 0, "jobs": 0, "ended": 0}
    for number in range(rounds):
        killed = threading.Event()
        crowd = [Player(server, n, 10**9, killed, seed + 100 * number + n) for n in range(players)]
        for player, keys in zip(crowd, known or [], strict=False):
            player.keys = keys
        jobs = Jobs(server, killed, seed + number)
        for thread in (*crowd, jobs):
            thread.start()
        time.sleep(random.uniform(*seconds))
        killed.set()
        server.kill()
        for thread in (*crowd, jobs):
            thread.join(30)
            assert thread.failure is None, (seed, thread.failure)
        server.start()
        client = server.client(attempts=3)
        for player in crowd:
            player.settle(client)
        counts["operations"] += sum(player.done for player in crowd)
        counts["jobs"] += len(jobs.started)
        counts["ended"] += wait_for(server, jobs.started)
        known = [player.keys for player in crowd]
    for bucket in BUCKETS:
        wait_for(server, [start_job(server, ENCRYPT, bucket=bucket, kind="sse-s3")])
    for player in crowd:
        player.settle(client)
    counts["versions"] = all_sealed(client)
    return counts


def wait_for(server: S3Process, jobs: list[str], seconds: float = 60) -> int:
    """Wait until jobs, those that the kill interrupted among them, have ended; return how many nothing failed in."""
    end, fine = time.monotonic() + seconds, 0
    for job in jobs:
        while not ((found := job_status(server, job))["complete"] or found["failed"]):
            assert time.monotonic() < end, found
            time.sleep(0.05)
        fine += found["complete"]
    return fine


def all_sealed(client) -> int:
    """Every version there is has been encrypted; return how many there are."""
    count = 0
    for bucket in BUCKETS:
        for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for row in page.get("Versions", []):
                where = {"Bucket": bucket, "Key": row["Key"], "VersionId": row["VersionId"]}
                try:
                    assert "ServerSideEncryption" in client.head_object(**where), where
                except (BotoCoreError, ClientError) as error:
                    raise AssertionError(where) from error
                count += 1
    return count
