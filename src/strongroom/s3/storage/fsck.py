"""Checking a server's folder: rows against totals, files against rows. Format: docs/formats/store.md.

Opens databases through SQLite only, so it may run beside a server; what a running server is writing just then counts
as unneeded files. Repairing takes the server's lock.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import apsw
from awscrt.checksums import crc32c

from strongroom.errors import Error
from strongroom.s3.storage import rows, schema
from strongroom.s3.storage.folders import BodyFiles
from strongroom.s3.storage.opening import lock_folder
from strongroom.s3.storage.rows import Row
from strongroom.s3.storage.sweep import needed, worth_keeping
from strongroom.s3.storage.transaction import TOTALS


@dataclass(slots=True)
class Report:
    """What a check found. problems: one line each, with bucket and key; the rest are counts.

    Of encrypted versions, by whether something vouches for their tags and locks: checked_tags were compared,
    unchecked_tags need a key that was not to be had, unsealed_tags were written before there was a seal.
    """

    problems: list[str] = field(default_factory=list)
    buckets: int = 0
    versions: int = 0
    files: int = 0
    unneeded_files: int = 0
    repaired: int = 0
    checked_tags: int = 0
    unchecked_tags: int = 0
    unsealed_tags: int = 0


def check_folder(folder: Path, *, deep: bool = False, repair: bool = False) -> Report:
    """Check all buckets and return what was found.

    deep: also SQLite's own integrity check of every page, and the checksum of every file (those of bodies in rows are
    always compared). repair: totals are counted anew and unneeded files
    removed. Raise BadSettings for a folder of another format, or when a server runs and repair is asked for.
    """
    lock = lock_folder(folder) if repair else -1
    try:
        return _check_folder(folder, Report(), deep=deep, repair=repair)
    finally:
        if lock >= 0:
            os.close(lock)


def _check_folder(folder: Path, report: Report, *, deep: bool, repair: bool) -> Report:
    system = schema.connect(folder / "system.db")
    try:
        schema.check_format(system, folder / "system.db")
        found: list[Row] = system.execute("SELECT name, uuid FROM buckets ORDER BY name").fetchall()
        named: dict[str, str] = dict(found)
        for path in sorted((folder / "buckets").iterdir()):
            if path.name not in named.values():
                _unnamed(path, system, named, report, repair=repair)
    finally:
        system.close()
    for name, uuid in named.items():
        _Check(folder / "buckets" / uuid, name, report, deep=deep, repair=repair).run()
    return report


def _unnamed(path: Path, system: apsw.Connection, named: dict[str, str], report: Report, *, repair: bool) -> None:
    """Note a folder that no bucket name means. repair: one with something in it gets its name back, if that is free."""
    held = worth_keeping(path)
    report.problems.append(f"{path.name}: a folder that no bucket name means: {held or 'the next start removes it'}")
    if held is None or not repair:
        return
    try:
        connection = schema.connect(path / "index.db")
        try:
            schema.check_format(connection, path / "index.db")
            name, uuid, created = connection.execute("SELECT name, uuid, created FROM bucket").get
        finally:
            connection.close()
    except (apsw.Error, Error, TypeError):  # said above
        return
    if name not in named and uuid == path.name:
        system.execute("INSERT INTO buckets VALUES (?, ?, ?, 0)", (name, uuid, created))
        named[name] = uuid
        report.repaired += 1


@dataclass(frozen=True, slots=True)
class Piece:
    """A stored body, or part of one: in the file of this name, or inline."""

    owner: str
    file: str | None
    stored: int
    crc: int
    body: bytes = b""


def _crc(file: BinaryIO) -> int:
    crc = 0
    while data := file.read(1 << 20):
        crc = crc32c(data, crc)
    return crc


class _Check:
    """One bucket under check."""

    def __init__(self, folder: Path, name: str, report: Report, *, deep: bool, repair: bool) -> None:
        self.folder = folder
        self.name = name
        self.report = report
        self.deep = deep
        self.repair = repair
        self.files = BodyFiles(folder, 0)

    def problem(self, text: str) -> None:
        """Note a finding."""
        self.report.problems.append(f"{self.name}: {text}")

    def run(self) -> None:
        """Check the bucket; whatever its database raises is a finding too."""
        self.report.buckets += 1
        try:
            connection = schema.connect(self.folder / "index.db")
        except apsw.Error as error:
            self.problem(f"index.db does not open: {error}")
            return
        try:
            schema.check_format(connection, self.folder / "index.db")
            if self.deep:
                self._integrity(connection)
            self._rows(connection)
            self._unneeded(connection)
        except (apsw.Error, Error) as error:
            self.problem(f"index.db: {error}")
        finally:
            connection.close()

    def _integrity(self, connection: apsw.Connection) -> None:
        for (text,) in connection.execute("PRAGMA integrity_check").fetchall():
            if text != "ok":
                self.problem(f"index.db: {text}")

    def _rows(self, connection: apsw.Connection) -> None:
        """Compare the totals with the rows, and the rows with the files, in one snapshot."""
        connection.execute("BEGIN")
        try:
            totals = self._totals(connection)
            seals = self._seals(connection)
            wanted = self._wanted(connection)
            files: list[Row] = connection.execute("SELECT name, stored FROM files").fetchall()
            kept: dict[str, int] = dict(files)
        finally:
            connection.execute("ROLLBACK")
        if seals is not None and self.repair:
            connection.execute(f"DELETE FROM seals; INSERT INTO seals {SEALS}")  # noqa: S608
            self.report.repaired += 1
        if totals is not None and self.repair:
            connection.execute(f"UPDATE bucket SET {', '.join(f'{name} = ?' for name in TOTALS)}", totals)  # noqa: S608
            self.report.repaired += 1
        for name, piece in wanted.items():
            self._file(connection, name, piece)
            if kept.get(name) != piece.stored:
                self.problem(f"{piece.owner}: file {name} is not in the table of files")
                if self.repair:  # before what is not in it is taken for garbage
                    connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (name, piece.stored))
                    self.report.repaired += 1
        for name in kept.keys() - wanted.keys():
            self.problem(f"file {name} is kept for no row")

    def _wanted(self, connection: apsw.Connection) -> dict[str, Piece]:
        """Check what lies in rows; return what must lie in files, by name."""
        wanted: dict[str, Piece] = {}
        for piece in (*self._versions(connection), *self._uploads(connection)):
            if piece.file is None:
                self._inline(piece)
            elif piece.file in wanted:
                self.problem(f"{piece.owner} and {wanted[piece.file].owner} have the same file")
            else:
                wanted[piece.file] = piece
        return wanted

    def _versions(self, connection: apsw.Connection) -> Iterator[Piece]:
        for key, version, stored, file, packed, crc, marker, body in connection.execute(VERSIONS):
            owner = f"{key} {version or 'null'}"
            self.report.versions += not marker
            if packed is not None:
                yield from self._parts(owner, packed, stored, body or b"")
            elif not marker:
                yield Piece(owner, file, stored, crc, body or b"")

    def _uploads(self, connection: apsw.Connection) -> Iterator[Piece]:
        for upload, number, stored, file, crc, body in connection.execute(PARTS):
            yield Piece(f"upload {upload} part {number}", file, stored, crc, body or b"")

    def _parts(self, owner: str, packed: bytes, stored: int, inline: bytes) -> Iterator[Piece]:
        parts, files, crcs = rows.unpack_parts(packed)
        if sum(part.stored for part in parts) != stored:
            self.problem(f"{owner}: the parts do not add up to {stored} bytes")
        at = 0
        for part, name, crc in zip(parts, files, crcs, strict=True):
            if name is not None:
                yield Piece(owner, name, part.stored, crc)
            else:
                yield Piece(owner, None, part.stored, crc, inline[at : at + part.stored])
                at += part.stored
        if at != len(inline):
            self.problem(f"{owner}: {len(inline)} bytes in the row, its small parts have {at}")

    def _inline(self, piece: Piece) -> None:
        if len(piece.body) != piece.stored:
            self.problem(f"{piece.owner}: {len(piece.body)} bytes in the row, {piece.stored} announced")
        elif crc32c(piece.body) != piece.crc:
            self.problem(f"{piece.owner}: the bytes in the row have changed")

    def _file(self, connection: apsw.Connection, name: str, piece: Piece) -> None:
        self.report.files += 1
        try:
            with open(self.files.path(name), "rb") as file:
                found = os.fstat(file.fileno()).st_size
                changed = self.deep and found == piece.stored and _crc(file) != piece.crc
        except FileNotFoundError:
            if needed(connection, name):  # else deleted while we looked
                self.problem(f"{piece.owner}: file {name} is missing")
            return
        if found != piece.stored:
            self.problem(f"{piece.owner}: file {name} has {found} bytes, {piece.stored} announced")
        if changed:
            self.problem(f"{piece.owner}: the bytes of file {name} have changed")

    def _totals(self, connection: apsw.Connection) -> Row | None:
        """Compare the totals with what is there; return the true ones when they differ."""
        kept: Row = connection.execute(f"SELECT {', '.join(TOTALS)} FROM bucket").get  # noqa: S608
        counted: Row = connection.execute(COUNT).get
        if kept == counted:
            return None
        self.problem(f"totals are {kept}, counted {counted}")
        return counted

    def _seals(self, connection: apsw.Connection) -> list[Row] | None:
        """Compare what keys protect with what is counted; return the true counts when they differ."""
        kept: list[Row] = connection.execute("SELECT name, versions, size, objects FROM seals ORDER BY name").fetchall()
        counted: list[Row] = connection.execute(SEALS).fetchall()
        if kept == counted:
            return None
        self.problem(f"counts by key are {kept}, counted {counted}")
        return counted

    def _unneeded(self, connection: apsw.Connection) -> None:
        for path in sorted(self.folder.glob("data/*/*")) + sorted(self.folder.glob("tmp/*")):
            if path.parent.name == "tmp" or not needed(connection, path.name):
                self.report.unneeded_files += 1
                if self.repair:
                    path.unlink(missing_ok=True)
                    self.report.repaired += 1


VERSIONS = "SELECT key, version, stored, file, parts, crc, marker, body FROM versions"
PARTS = "SELECT upload, number, stored, file, crc, body FROM parts"
SEALS = """
SELECT sealed_by, count(*), sum(size),
       sum(NOT EXISTS (SELECT 1 FROM versions n WHERE n.key = v.key AND n.seq > v.seq))
FROM versions v WHERE sealed_by <> '' GROUP BY sealed_by ORDER BY sealed_by
"""
COUNT = """
SELECT (SELECT count(*) FROM versions v WHERE NOT marker
            AND NOT EXISTS (SELECT 1 FROM versions n WHERE n.key = v.key AND n.seq > v.seq)),
       (SELECT count(*) FROM versions WHERE NOT marker),
       (SELECT count(*) FROM versions WHERE marker),
       (SELECT coalesce(sum(size), 0) FROM versions),
       (SELECT coalesce(sum(stored), 0) FROM versions),
       (SELECT count(*) FROM uploads),
       (SELECT coalesce(sum(stored), 0) FROM parts)
"""
