"""What the memory kind keeps: bodies, versions and uploads of one bucket."""

from dataclasses import dataclass, field, replace

from strongroom.s3.domain.ports import Buffer
from strongroom.s3.domain.records import BucketRecord, ObjectVersion, PartRecord, UploadRecord


class MemoryStaged:
    """A body that grows in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    @property
    def stored(self) -> int:
        """Bytes written so far."""
        return len(self.data)

    def write(self, data: Buffer) -> None:
        """Append a copy of data."""
        self.data += data

    def discard(self) -> None:
        """Nothing is held outside."""


class MemoryBody:
    """A stored body in memory."""

    def __init__(self, data: bytes) -> None:
        self.inline: bytes | None = data
        self._data = data

    @property
    def stored(self) -> int:
        """Length in bytes."""
        return len(self._data)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill buffer from offset; return the bytes read."""
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Nothing is held outside."""


@dataclass(slots=True)
class Upload:
    """An unfinished upload and its parts: number → (record, bytes)."""

    record: UploadRecord
    parts: dict[int, tuple[PartRecord, bytes]] = field(default_factory=dict)


@dataclass(slots=True)
class Bucket:
    """A bucket: per key its versions, newest first."""

    record: BucketRecord
    keys: dict[str, list[ObjectVersion]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def newest(self, key: str) -> ObjectVersion | None:
        """Return the newest version or marker."""
        versions = self.keys.get(key)
        return versions[0] if versions else None

    def find(self, key: str, version_id: str) -> ObjectVersion | None:
        """Return the version of this id."""
        return next((v for v in self.keys.get(key, ()) if v.version_id == version_id), None)

    def remove(self, version: ObjectVersion) -> None:
        """Forget a version; the next older one becomes the newest."""
        left = [v for v in self.keys[version.key] if v.version_id != version.version_id]
        if left:
            self.keys[version.key] = [replace(left[0], latest=True), *left[1:]]
        else:
            del self.keys[version.key]

    def push(self, version: ObjectVersion) -> None:
        """Make version the newest, in place of an older one of the same id."""
        old = self.find(version.key, version.version_id)
        if old is not None:
            self.remove(old)
        older = self.keys.get(version.key, [])
        self.keys[version.key] = [version, *(replace(v, latest=False) for v in older)]

    def exchange(self, version: ObjectVersion) -> None:
        """Put version in the place of the one of the same id."""
        versions = self.keys[version.key]
        self.keys[version.key] = [version if v.version_id == version.version_id else v for v in versions]

    def size(self) -> int:
        """Return the plaintext bytes of all versions."""
        return sum(v.size for versions in self.keys.values() for v in versions)
