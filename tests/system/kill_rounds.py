"""Parallel PUTs, a SIGKILL in the middle, a look at what is there afterwards. Used by the suite and by the soak run."""

import hashlib
import random
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError
from s3_process import S3Process

BUCKET = "killed"
SIZES = (0, 1, 4096, 65536, 131072, 131073, 400_000)


def one_round(server: S3Process, number: int, puts: int) -> tuple[int, int]:
    """PUT `puts` objects (a third of them over existing names), kill in the middle; return (answered 200, cut off)."""
    client = server.client()
    tried: dict[str, list[str]] = {}
    answered: dict[str, str] = {}
    kill_at = random.randrange(puts // 10, puts * 9 // 10)
    count = iter(range(puts))
    lock = threading.Lock()
    killed = threading.Event()

    def put(index: int) -> None:
        key = f"shared/{index % 40}" if index % 3 == 0 else f"round-{number}/{index}"
        body = secrets.token_bytes(random.choice(SIZES))
        digest = hashlib.sha256(body).hexdigest()
        with lock:
            tried.setdefault(key, []).append(digest)
            if next(count) == kill_at:
                server.kill()
                killed.set()
        if killed.is_set():
            return
        try:
            client.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"sha": digest})
        except (ClientError, BotoCoreError):
            return
        with lock:
            answered[f"{key}#{digest}"] = key

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(put, range(puts)))
    server.start()
    check(server, tried, set(answered.values()))
    return len(answered), sum(map(len, tried.values())) - len(answered)


def check(server: S3Process, tried: dict[str, list[str]], answered: set[str]) -> None:
    """Every key answered 200 holds one of the bodies sent to it, whole; no other key holds anything else."""
    client = server.client(attempts=3)
    listed = {
        found["Key"]: found["Size"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for found in page.get("Contents", [])
    }
    missing = answered - set(listed)
    assert not missing, f"answered 200 and not there: {sorted(missing)[:5]}"
    for key in tried.keys() & listed.keys():
        got = client.get_object(Bucket=BUCKET, Key=key)
        body = got["Body"].read()
        digest = hashlib.sha256(body).hexdigest()
        assert digest == got["Metadata"]["sha"], f"{key} is a mixture"
        assert len(body) == listed[key]
        if not key.startswith("shared/"):
            assert digest in tried[key]


def no_leftovers(server: S3Process) -> None:
    """After a clean start nothing unpublished is left, and every data file belongs to a row (cleaned in background)."""
    leftovers = [path for path in server.folder.glob("buckets/*/tmp/*") if path.is_file()]
    assert leftovers == [], leftovers[:5]
