"""Pages of a bucket from the covering index: range scans that jump over common prefixes and old versions.

Each SELECT is bounded by the rows it looks at, not by the rows it finds, and the event loop gets its turn in between:
a million delete markers in a row hold nobody up. A page is therefore no snapshot; S3 does not promise one.
"""

import asyncio
from collections.abc import AsyncIterator

import apsw

from strongroom.s3.domain.records import Listed, ListQuery, ObjectVersion, Page, UploadPage, UploadRecord
from strongroom.s3.storage import rows
from strongroom.s3.storage.order import above, common_prefix, successor
from strongroom.s3.storage.rows import Row

AT_ONCE = 1001  # rows of one SELECT
FEW = 4  # rows of the first SELECT after a jump; doubled while nothing is jumped over
OLD_VERSIONS = 16  # of one key that are read before jumping to the next key
SLICE = 2000  # rows and jumps (each counts as 20 rows) until others get their turn: 2 ms
JUMP_COST = 20
WALK_AT_ONCE = 100

_FROM_KEY = f"SELECT {rows.LISTED} FROM versions WHERE key >= ? AND key < ? ORDER BY key, seq DESC LIMIT ?"  # noqa: S608
_FROM_SEQ = f"SELECT {rows.LISTED} FROM versions WHERE key = ? AND seq < ? ORDER BY seq DESC LIMIT ?"  # noqa: S608
_UPLOAD_SEQ = "SELECT seq FROM uploads WHERE key = ? AND upload = ?"
_SEQ = "SELECT seq FROM versions WHERE key = ? AND version IS ?"
_WALK = f"SELECT {rows.VERSION} FROM versions WHERE key >= ? AND key < ? ORDER BY key, seq DESC LIMIT ?"  # noqa: S608
_WALK_KEY = f"SELECT {rows.VERSION} FROM versions WHERE key = ? AND seq < ? ORDER BY seq DESC LIMIT ?"  # noqa: S608
_UPLOADS = f"SELECT {rows.UPLOAD}, seq FROM uploads WHERE key >= ? AND key < ? ORDER BY key, seq LIMIT ?"  # noqa: S608
_UPLOADS_KEY = f"SELECT {rows.UPLOAD}, seq FROM uploads WHERE key = ? AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608


class Cursor:
    """Reads rows onwards from a place in (key, seq) order, a few after a jump, more while going straight on.

    statements: rows from a key on, and rows of one key behind a seq.
    """

    def __init__(self, reader: apsw.Connection, prefix: str, statements: tuple[str, str]) -> None:
        self._reader = reader
        self._key = prefix
        self._seq: int | None = None  # inside the key, behind this seq; None: at the first row of the key
        end = successor(prefix)
        self._end: str | bytes = b"" if end is None else end  # a BLOB is above all TEXT
        self._from_key, self._from_seq = statements
        self._size = FEW
        self._spent = 0

    def jump(self, key: str) -> None:
        """Go on at the first row whose key is not below key."""
        self.place(key, None)
        self._size = FEW

    def place(self, key: str, seq: int | None) -> None:
        """Go on behind this row, or at the first row of key."""
        self._key, self._seq = key, seq

    def expect(self, count: int) -> None:
        """Say how many rows are wanted, when nothing suggests a jump."""
        self._size = min(max(count, FEW), AT_ONCE)

    async def read(self) -> tuple[list[Row], bool]:
        """Return the next rows, and whether they are the last."""
        wanted = self._size
        self._size = min(wanted * 2, AT_ONCE)
        found: list[Row] = []
        if self._seq is not None:
            found = self._reader.execute(self._from_seq, (self._key, self._seq, wanted)).fetchall()
            if len(found) < wanted:
                self.place(above(self._key), None)
        if self._seq is None:
            left = wanted - len(found)
            found += self._reader.execute(self._from_key, (self._key, self._end, left)).fetchall()
        self._spent += len(found) + JUMP_COST
        if self._spent > SLICE:
            self._spent = 0
            await asyncio.sleep(0)
        return found, len(found) < wanted


class _Collector:
    """Entries and common prefixes of one page, counted together."""

    def __init__(self, query: ListQuery) -> None:
        self.query = query
        self.entries: list[Listed] = []
        self.prefixes: list[str] = []
        self.truncated = False
        self.last: tuple[str, str | None] = ("", None)

    def room(self) -> bool:
        """Say whether one more fits; remember that the page is cut when it does not."""
        if len(self.entries) + len(self.prefixes) < self.query.limit:
            return True
        self.truncated = self.query.limit > 0
        return False

    def page(self) -> Page:
        """Return the page."""
        last = self.last if self.truncated else ("", None)
        return Page(tuple(self.entries), tuple(self.prefixes), self.truncated, *last)


async def page(reader: apsw.Connection, query: ListQuery) -> Page:
    """Return one page; see ObjectStore.list."""
    out = _Collector(query)
    cursor = Cursor(reader, query.prefix, (_FROM_KEY, _FROM_SEQ))
    if not query.delimiter:
        cursor.expect(query.limit + 1)
    previous = _start(reader, cursor, query)
    repeated = 0
    while True:
        found, ended = await cursor.read()
        for row in found:
            newest = row[0] != previous
            repeated = 0 if newest else repeated + 1
            previous = row[0]
            target = _take(out, row, newest, repeated)
            if target is None:
                return out.page()
            if target:
                cursor.jump(target)
                break
        else:
            if ended:
                return out.page()
            cursor.place(found[-1][0], found[-1][1])


def _start(reader: apsw.Connection, cursor: Cursor, query: ListQuery) -> str | None:
    """Place the cursor behind the markers; return the key that it is in the middle of."""
    if not query.after or query.after < query.prefix:
        return None
    if not query.versions or query.after_version is None or not query.after.startswith(query.prefix):
        cursor.place(above(query.after), None)
        return None
    row = reader.execute(_SEQ, (query.after, rows.id_to_column(query.after_version))).fetchone()
    if row is None:  # deleted meanwhile: everything before it was listed, so begin with what is left of the key
        cursor.place(query.after, None)
        return None
    cursor.place(query.after, int(row[0]))
    return query.after


def _take(out: _Collector, row: Row, newest: bool, repeated: int) -> str | None:
    """Take a row into the page or pass it over. Return "" to go on, a key to jump to, or None at the page's end."""
    query = out.query
    key = row[0]
    hidden = not query.versions and (not newest or row[3])
    group = common_prefix(key, query.prefix, query.delimiter)
    if group is not None and group <= query.after:
        return successor(group)
    if hidden:
        return above(key) if repeated == OLD_VERSIONS else ""
    if not out.room():
        return None
    if group is not None:
        out.prefixes.append(group)
        out.last = (group, None)
        return successor(group)
    out.entries.append(rows.listed(row, latest=newest))
    out.last = (key, out.entries[-1].version_id if query.versions else None)
    return ""


async def walk(reader: apsw.Connection, prefix: str, after: str) -> AsyncIterator[ObjectVersion]:
    """Yield every version and marker, newest first within a key; see ObjectStore.walk."""
    cursor = Cursor(reader, prefix, (_WALK, _WALK_KEY))
    if after >= prefix and after:
        cursor.place(above(after), None)
    previous: str | None = None
    ended = False
    while not ended:
        cursor.expect(WALK_AT_ONCE)
        found, ended = await cursor.read()
        for row in found:
            yield rows.version(row, latest=row[1] != previous)
            previous = row[1]
        if found:
            cursor.place(found[-1][1], found[-1][0])
        await asyncio.sleep(0)


async def uploads(
    reader: apsw.Connection, prefix: str, after_key: str, after_upload: str, delimiter: str, limit: int
) -> UploadPage:
    """Return a page of unfinished uploads; see ObjectStore.uploads."""
    cursor = Cursor(reader, prefix, (_UPLOADS, _UPLOADS_KEY))
    cursor.expect(limit + 1)
    _start_uploads(reader, cursor, prefix, after_key, after_upload)
    found: list[UploadRecord] = []
    prefixes: list[str] = []
    last = ("", "")
    ended = False
    while not ended:
        batch, ended = await cursor.read()
        if batch:
            cursor.place(batch[-1][0], batch[-1][4])
        for row in batch:
            group = common_prefix(row[0], prefix, delimiter)
            if group is not None and (group <= after_key or (prefixes and group == prefixes[-1])):
                continue
            if len(found) + len(prefixes) == limit:
                return UploadPage(tuple(found), tuple(prefixes), limit > 0, *(last if limit else ("", "")))
            if group is not None:
                prefixes.append(group)
                last = (group, "")
            else:
                found.append(rows.upload(row[:4]))
                last = (row[0], row[1])
    return UploadPage(tuple(found), tuple(prefixes))


def _start_uploads(reader: apsw.Connection, cursor: Cursor, prefix: str, after_key: str, after_upload: str) -> None:
    """Place the cursor behind the markers; an upload that has ended meanwhile excludes nothing of its key."""
    if not after_key or after_key < prefix:
        return
    if not after_upload or not after_key.startswith(prefix):
        cursor.place(above(after_key), None)
        return
    row = reader.execute(_UPLOAD_SEQ, (after_key, after_upload)).fetchone()
    cursor.place(after_key, None if row is None else int(row[0]))
