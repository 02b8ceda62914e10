"""Backups: a gzipped tar of all sealed entries, checked before it is taken back (docs/formats/kms-snapshot.md).

Members: meta.json · entries.bin (for each entry: u32 length of key, u32 length of value, key, value; big-endian) ·
SHA256SUMS of both · SHA256SUMS.sealed, the sums sealed by the root key, so that a forged backup is told from ours.
"""

import gzip
import hashlib
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from strongroom.errors import Tampered
from strongroom.kms.domain.errors import Refused

VERSION = 1
HEAD = struct.Struct(">II")
MAX_KEY, MAX_VALUE = 64 * 1024, 256 * 1024 * 1024  # bytes
MEMBERS = ("meta.json", "entries.bin", "SHA256SUMS", "SHA256SUMS.sealed")
SUMS = "core/snapshot-sums"  # the path that the sums are sealed for
Entry = tuple[str, bytes]


def spool() -> IO[bytes]:
    """Return a nameless temporary file."""
    return tempfile.TemporaryFile()


def write(entries: Iterable[Entry], seal: Callable[[str, bytes], bytes], now: int) -> IO[bytes]:
    """Return an open file with a backup of entries, at its beginning."""
    with spool() as body:
        count, digest = 0, hashlib.sha256()
        for key, value in entries:
            record = HEAD.pack(len(key.encode()), len(value)) + key.encode() + value
            digest.update(record)
            body.write(record)
            count += 1
        size = body.tell()
        body.seek(0)
        meta = json.dumps({"version": VERSION, "entries": count, "created": now}).encode()
        sums = f"{hashlib.sha256(meta).hexdigest()}  meta.json\n{digest.hexdigest()}  entries.bin\n".encode()
        target = spool()
        with (
            gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as packed,
            tarfile.open(fileobj=packed, mode="w") as tar,
        ):
            parts: tuple[tuple[int, IO[bytes]], ...] = (
                (len(meta), io.BytesIO(meta)),
                (size, body),
                (len(sums), io.BytesIO(sums)),
            )
            sealed = seal(SUMS, sums)
            parts += ((len(sealed), io.BytesIO(sealed)),)
            for name, (length, data) in zip(MEMBERS, parts, strict=True):
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = length, 0o600, now // 1_000_000_000
                tar.addfile(info, data)
    target.seek(0)
    return target


def read(file: IO[bytes], opened: Callable[[str, bytes], bytes] | None) -> dict[str, bytes]:
    """Return the entries of a backup; raise Refused unless it is whole and, with `opened`, sealed by this root key."""
    try:
        with gzip.GzipFile(fileobj=file) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
            return _read(tar, opened)
    except (OSError, EOFError, tarfile.TarError, ValueError, KeyError, struct.error) as error:
        raise Refused(f"the backup cannot be read: {error}") from error


def _read(tar: tarfile.TarFile, opened: Callable[[str, bytes], bytes] | None) -> dict[str, bytes]:
    small: dict[str, bytes] = {}
    entries: dict[str, bytes] = {}
    digests: dict[str, str] = {}
    for member in tar:
        data = tar.extractfile(member)
        if member.name not in MEMBERS or data is None:
            raise ValueError(f"unexpected member {member.name!r}")
        if member.name == "entries.bin":
            digest = hashlib.sha256()
            entries = dict(_entries(data, digest))
            digests[member.name] = digest.hexdigest()
        else:
            small[member.name] = data.read(1024 * 1024)
            digests[member.name] = hashlib.sha256(small[member.name]).hexdigest()
    meta, sums = json.loads(small["meta.json"]), small["SHA256SUMS"].decode()
    for line in sums.splitlines():
        wanted, _, name = line.partition("  ")
        if digests.get(name) != wanted:
            raise ValueError(f"{name} does not match its sum")
    if meta["version"] != VERSION or meta["entries"] != len(entries) or sums.count("\n") != 2:
        raise ValueError("it is not complete")
    if opened is not None:
        _check_seal(small, opened)
    return entries


def _check_seal(small: dict[str, bytes], opened: Callable[[str, bytes], bytes]) -> None:
    try:
        if opened(SUMS, small["SHA256SUMS.sealed"]) == small["SHA256SUMS"]:
            return
    except Tampered as error:
        raise Refused(
            "the backup was made under another root key; restore it with force and its unseal keys"
        ) from error
    raise Refused("the backup's sums are not the sealed ones")


def _entries(data: IO[bytes], digest: Any) -> Iterator[Entry]:
    while head := data.read(HEAD.size):
        digest.update(head)
        key_size, value_size = HEAD.unpack(head)
        if key_size > MAX_KEY or value_size > MAX_VALUE:
            raise ValueError("an entry is too long")
        body = data.read(key_size + value_size)
        if len(body) != key_size + value_size:
            raise ValueError("it is cut off")
        digest.update(body)
        yield body[:key_size].decode(), body[key_size:]
