"""Random operations against a server and against a model that knows what was answered; kills in between.

Each thread owns its keys, so that what it was told is what must be there. An operation that was cut off by a kill may
have happened or not, but not half: afterwards its key is in the state before or in the state after.
"""

import hashlib
import random
import secrets
import threading
from dataclasses import dataclass, field, replace

from botocore.exceptions import BotoCoreError, ClientError

MIB = 1024 * 1024
SIZES = (0, 1, 4096, 65537, 140_000, 700_000)
NOT_NOW = ("InvalidRequest", "ConditionalRequestConflict")  # a plain object, or one that a job seals anew just now
PLAIN, VERSIONED, LOCKED = "model-plain", "model-versioned", "model-locked"


@dataclass(frozen=True)
class Version:
    """digest None: a delete marker. version_id None: not known, its answer was cut off."""

    version_id: str | None
    digest: str | None
    tags: tuple = ()
    hold: bool = False

    def same(self, other: "Version") -> bool:
        known = self.version_id is None or self.version_id == other.version_id
        return known and (self.digest, self.tags, self.hold) == (other.digest, other.tags, other.hold)


@dataclass(frozen=True)
class Step:
    """An operation: call does it, after tells the state that it leads to, given the answer (None: cut off)."""

    name: str
    call: object
    after: object


@dataclass
class Key:
    """A key and the versions that it must have, newest first."""

    bucket: str
    name: str
    versions: list[Version] = field(default_factory=list)
    maybe: list[Version] | None = None  # the state after an operation that was cut off


def matches(wanted: list[Version], found: list[Version]) -> bool:
    """Compare newest with newest, and the others as sets: a millisecond may hold two of them."""
    if len(wanted) != len(found):
        return False
    if wanted and not wanted[0].same(found[0]):
        return False
    rest = list(found)
    for one in wanted:
        hit = next((other for other in rest if one.same(other)), None)
        if hit is None:
            return False
        rest.remove(hit)
    return True


def observe(client, key: Key) -> list[Version]:
    """Return the versions that the server has, newest first."""
    page = client.list_object_versions(Bucket=key.bucket, Prefix=key.name)
    rows = [row for kind in ("Versions", "DeleteMarkers") for row in page.get(kind, []) if row["Key"] == key.name]
    # boto3 keeps versions and markers apart: their times tell what becomes the newest when the newest is deleted
    rows.sort(key=lambda row: (row["IsLatest"], row["LastModified"]), reverse=True)
    return [_read(client, key, row) for row in rows]


def _read(client, key: Key, row) -> Version:
    where = {"Bucket": key.bucket, "Key": key.name, "VersionId": row["VersionId"]}
    if "ETag" not in row or "Size" not in row:
        return Version(row["VersionId"], None)
    got = client.get_object(**where)
    body = got["Body"].read()
    assert len(body) == row["Size"]
    tags = client.get_object_tagging(**where)["TagSet"]
    hold = got.get("ObjectLockLegalHoldStatus") == "ON"
    pairs = tuple(sorted((tag["Key"], tag["Value"]) for tag in tags))
    return Version(row["VersionId"], hashlib.sha256(body).hexdigest(), pairs, hold)


class Player(threading.Thread):
    """One thread with its own keys."""

    def __init__(self, server, number: int, steps: int, killed: threading.Event, seed: int) -> None:
        super().__init__()
        self.server, self.steps, self.killed = server, steps, killed
        self.random = random.Random(seed)
        self.keys = [Key(bucket, f"{number}/{n}") for bucket in (PLAIN, VERSIONED, LOCKED) for n in range(3)]
        self.done = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            client = self.server.client()
            for _ in range(self.steps):
                if self.killed.is_set():
                    return
                self.step(client, self.random.choice(self.keys))
        except BaseException as error:
            self.failure = error

    def step(self, client, key: Key) -> None:
        step = self.choose(key)
        try:
            answer = step.call(client)
        except (BotoCoreError, ClientError):
            if not self.killed.is_set():
                self.killed.wait(5)  # the kill may be a moment away
            assert self.killed.is_set(), f"{step.name} failed without a kill"
            key.maybe = step.after(None)
            return
        key.versions = step.after(answer)
        self.done += 1

    def choose(self, key: Key) -> Step:
        choices = [self.put, self.put, self.multipart, self.copy, self.delete]
        live = [one for one in key.versions if one.digest]
        if live and key.versions[0].digest:
            choices += [self.tag, self.rewrap]
        if key.bucket != PLAIN and key.versions:
            choices.append(self.delete_version)
        if key.bucket == LOCKED and live:
            choices.append(self.hold)
        return self.random.choice(choices)(key)

    def _written(self, key: Key, digest: str):
        """Return what a write leads to."""

        def after(answer):
            version_id = (answer or {}).get("VersionId", "null" if key.bucket == PLAIN else None)
            made = Version(version_id, digest)
            return [made] if key.bucket == PLAIN else [made, *key.versions]

        return after

    def put(self, key: Key) -> Step:
        body = secrets.token_bytes(self.random.choice(SIZES))
        options = self.random.choice([{}, {"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}])
        digest = hashlib.sha256(body).hexdigest()
        return Step(
            "put",
            lambda s3: s3.put_object(Bucket=key.bucket, Key=key.name, Body=body, **options),
            self._written(key, digest),
        )

    def multipart(self, key: Key) -> Step:
        parts = [secrets.token_bytes(1000)]
        if self.random.random() < 0.2:
            parts.insert(0, secrets.token_bytes(5 * MIB))

        def call(s3):
            upload = s3.create_multipart_upload(Bucket=key.bucket, Key=key.name)["UploadId"]
            where = {"Bucket": key.bucket, "Key": key.name, "UploadId": upload}
            done = [
                {"PartNumber": n, "ETag": s3.upload_part(PartNumber=n, Body=part, **where)["ETag"]}
                for n, part in enumerate(parts, 1)
            ]
            return s3.complete_multipart_upload(MultipartUpload={"Parts": done}, **where)

        return Step("multipart", call, self._written(key, hashlib.sha256(b"".join(parts)).hexdigest()))

    def copy(self, key: Key) -> Step:
        sources = [other for other in self.keys if other is not key and other.versions and other.versions[0].digest]
        if not sources:
            return self.put(key)
        source = self.random.choice(sources)
        newest = source.versions[0]
        options = {"Bucket": key.bucket, "Key": key.name, "TaggingDirective": "REPLACE"}
        where = {"Bucket": source.bucket, "Key": source.name}
        return Step("copy", lambda s3: s3.copy_object(CopySource=where, **options), self._written(key, newest.digest))

    def delete(self, key: Key) -> Step:
        def after(answer):
            if key.bucket == PLAIN:
                return []
            return [Version((answer or {}).get("VersionId"), None), *key.versions]

        return Step("delete", lambda s3: s3.delete_object(Bucket=key.bucket, Key=key.name), after)

    def delete_version(self, key: Key) -> Step:
        gone = self.random.choice(key.versions)
        if gone.version_id is None or gone.hold:
            return self.put(key)
        where = {"Bucket": key.bucket, "Key": key.name, "VersionId": gone.version_id}
        left = [one for one in key.versions if one is not gone]
        return Step("delete version", lambda s3: s3.delete_object(**where), lambda _: left)

    def _changed(self, key: Key, old: Version, **changes):
        return lambda _: [replace(one, **changes) if one is old else one for one in key.versions]

    def tag(self, key: Key) -> Step:
        value = secrets.token_hex(4)
        tags = {"TagSet": [{"Key": "t", "Value": value}]}
        return Step(
            "tag",
            lambda s3: s3.put_object_tagging(Bucket=key.bucket, Key=key.name, Tagging=tags),
            self._changed(key, key.versions[0], tags=(("t", value),)),
        )

    def rewrap(self, key: Key) -> Step:
        wanted = {"SSEKMS": {"KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/my-key"}}

        def call(s3):
            try:
                s3.update_object_encryption(Bucket=key.bucket, Key=key.name, ObjectEncryption=wanted)
            except ClientError as error:
                if error.response["Error"]["Code"] not in NOT_NOW:
                    raise

        return Step("rewrap", call, lambda _: key.versions)

    def hold(self, key: Key) -> Step:
        old = self.random.choice([one for one in key.versions if one.digest])
        if old.version_id is None:
            return self.put(key)
        where = {"Bucket": key.bucket, "Key": key.name, "VersionId": old.version_id}
        status = {"Status": "OFF" if old.hold else "ON"}
        return Step(
            "hold",
            lambda s3: s3.put_object_legal_hold(LegalHold=status, **where),
            self._changed(key, old, hold=not old.hold),
        )

    def settle(self, client) -> None:
        """Compare with the server, and learn how what was cut off has ended."""
        for key in self.keys:
            found = observe(client, key)
            allowed = [key.versions] + ([key.maybe] if key.maybe is not None else [])
            assert any(matches(state, found) for state in allowed), (key, found)
            key.versions, key.maybe = found, None
