"""Minutes of random operations on two workers against a model, beside thousands of idle connections. `make soak`.

S3_SOAK_SECONDS says how long (300). Nothing may differ from the model; descriptors and memory have to stay flat.
"""

import os
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from s3_process import S3Process

SECONDS = float(os.environ.get("S3_SOAK_SECONDS", "300"))
IDLE = 3000  # connections that say nothing
THREADS = 8
BUCKET = "soak"
SIZES = (0, 1, 4096, 65536, 65537, 131072, 300_000)
MODES = ({}, {"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"})
PART = 5 * 1024 * 1024


class User:
    """One thread's clients, its part of the names, and what they ought to hold."""

    def __init__(self, server: S3Process, number: int) -> None:
        self.random = random.Random(number)
        self.clients = [server.client(attempts=1) for _ in range(2)]
        self.prefix = f"{number}/"
        self.model: dict[str, bytes] = {}
        self.done = 0

    @property
    def client(self):
        return self.random.choice(self.clients)

    def body(self, size: int) -> bytes:
        return self.random.randbytes(min(size, 4096)) * max(1, size // 4096) if size >= 4096 else bytes(size)

    def step(self) -> None:
        self.random.choices(
            (self.put, self.get, self.part_of, self.head, self.delete, self.list, self.copy, self.multipart),
            (30, 30, 10, 10, 8, 5, 6, 1),
        )[0]()
        self.done += 1

    def name(self) -> str:
        return f"{self.prefix}{self.random.randrange(60)}"

    def put(self) -> None:
        key, body = self.name(), self.body(self.random.choice(SIZES))
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, **self.random.choice(MODES))
        self.model[key] = body

    def get(self) -> None:
        key = self.name()
        try:
            found = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            found = None
        assert found == self.model.get(key), key

    def part_of(self) -> None:
        for key, body in self.model.items():
            if len(body) > 100:
                start = self.random.randrange(len(body) - 1)
                stop = self.random.randrange(start, len(body))
                found = self.client.get_object(Bucket=BUCKET, Key=key, Range=f"bytes={start}-{stop}")["Body"].read()
                assert found == body[start : stop + 1], key
                return

    def head(self) -> None:
        for key in list(self.model)[-1:]:
            assert self.client.head_object(Bucket=BUCKET, Key=key)["ContentLength"] == len(self.model[key])

    def delete(self) -> None:
        key = self.name()
        self.client.delete_object(Bucket=BUCKET, Key=key)
        self.model.pop(key, None)

    def list(self) -> None:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix=self.prefix, PaginationConfig={"PageSize": 25}
        )
        found = {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}
        assert found == {key: len(body) for key, body in self.model.items()}

    def copy(self) -> None:
        for key in list(self.model)[:1]:
            target = self.name()
            source = {"Bucket": BUCKET, "Key": key}
            if target != key:
                self.client.copy_object(Bucket=BUCKET, Key=target, CopySource=source, **self.random.choice(MODES))
                self.model[target] = self.model[key]

    def multipart(self) -> None:
        key, bodies = self.name(), [self.body(PART), self.body(70_000)]
        made = self.client.create_multipart_upload(Bucket=BUCKET, Key=key, **self.random.choice(MODES))
        where = {"Bucket": BUCKET, "Key": key, "UploadId": made["UploadId"]}
        parts = [
            {"PartNumber": number, "ETag": self.client.upload_part(**where, PartNumber=number, Body=body)["ETag"]}
            for number, body in enumerate(bodies, 1)
        ]
        self.client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        self.model[key] = b"".join(bodies)


def processes(server: S3Process) -> list[int]:
    pid = server.process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def resident(server: S3Process) -> int:
    """Return KiB of all processes, shared pages counted once."""
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in processes(server)]
    return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) for text in texts)


def descriptors(server: S3Process) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in processes(server))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Process]:
    environment = {"STRONGROOM_S3_WORKERS": "2", "MINIO_KMS_AUTO_ENCRYPTION": "off", "STRONGROOM_S3_AUDIT": "off"}
    running = S3Process(tmp_path / "data", **environment).start()
    yield running
    running.stop()


def keep_idle(server: S3Process, idle: list[socket.socket], stop: threading.Event) -> None:
    """Keep many connections open that say nothing: those that the server has closed are opened anew."""
    while not stop.is_set():
        for connection in idle[:]:
            connection.setblocking(False)
            try:
                if connection.recv(1) == b"":
                    connection.close()
                    idle.remove(connection)
            except BlockingIOError:
                continue
            except OSError:
                idle.remove(connection)
        while len(idle) < IDLE and not stop.is_set():
            idle.append(socket.create_connection(("127.0.0.1", server.port)))
        stop.wait(1)


@pytest.mark.timeout(SECONDS + 180)
def test_two_workers_agree_with_the_model(server: S3Process) -> None:
    server.client().create_bucket(Bucket=BUCKET)
    stop, idle, samples = threading.Event(), [], []
    users = [User(server, number) for number in range(THREADS)]

    def work(user: User) -> None:
        try:
            while not stop.is_set():
                user.step()
        finally:
            stop.set()  # one difference ends all

    with ThreadPoolExecutor(THREADS + 1) as pool:
        works = [pool.submit(work, user) for user in users] + [pool.submit(keep_idle, server, idle, stop)]
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and not stop.is_set():
            stop.wait(min(5.0, SECONDS / 12))
            samples.append((resident(server), descriptors(server)))
        stop.set()
        for one in works:
            one.result()
    for connection in idle:
        connection.close()
    third = len(samples) // 3
    early, late = samples[third : 2 * third], samples[2 * third :]
    print(f"{sum(user.done for user in users)} operations, KiB and descriptors: {samples[::third]}")
    assert max(late)[0] <= max(early)[0] * 1.15 + 20_000
    assert max(fds for _, fds in late) <= max(fds for _, fds in early) + 60
