"""Random operations on the files kind and the memory kind: the same answers, records, listings and totals."""

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from strongroom.errors import Denied, Error
from strongroom.s3.domain.records import VERSIONING, ListQuery, NewVersion, ObjectVersion, PartRecord
from strongroom.s3.storage.files import open_store
from strongroom.s3.storage.fsck import check_folder
from strongroom.s3.storage.memory import MemoryStore

KEYS = st.sampled_from(["a", "a/", "a/b", "a/b/c", "a/c", "b", "b/x", "é/1"])
SIZES = st.sampled_from([0, 1, 100, 9000, 200_000])


def plain(value):
    """What must be equal: version ids and times differ between the stores and are compared by position."""
    if isinstance(value, ObjectVersion):
        parts = tuple(replace(p, modified=0) for p in value.parts)
        null = value.version_id == "null"
        return replace(value, version_id="null" if null else "", modified=0, parts=parts)
    if isinstance(value, PartRecord):
        return replace(value, modified=0)
    return value


class Stores(RuleBasedStateMachine):
    """Runs each operation on both stores. Version ids are remembered in pairs."""

    versions = Bundle("versions")
    uploads = Bundle("uploads")

    @initialize()
    def begin(self):
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="store-model-"))
        self.memory = MemoryStore()
        self.files = self.run(open_store(self.folder))
        self.both(lambda s: s.create_bucket("b"))
        self.seed = 0

    def run(self, work):
        return self.loop.run_until_complete(work)

    def both(self, operation):
        """Return both results; the same error from both counts as a result."""
        results = []
        for store in (self.memory, self.files):
            try:
                results.append(self.run(operation(store)))
            except Error as error:
                results.append(type(error))
        kinds = [r if isinstance(r, type) else None for r in results]
        assert kinds[0] == kinds[1], results
        return results

    def body(self, size):
        self.seed += 1
        return bytes([self.seed % 251]) * size

    def stage(self, store, body):
        staged = store.stage("b", None)
        staged.write(body)
        return staged

    @rule(target=versions, key=KEYS, size=SIZES)
    def put(self, key, size):
        body = self.body(size)
        seal = ["", "k0", "k1"][self.seed % 3]
        new = NewVersion(key, size, b"e%d" % self.seed, b"m", b"t", b"l", sealed_by=seal)
        ours, theirs = self.both(lambda s: s.put("b", new, self.stage(s, body)))
        assert plain(ours) == plain(theirs)
        return (key, ours.version_id, theirs.version_id)

    @rule(key=KEYS, refuse=st.booleans())
    def put_if_absent(self, key, refuse):
        def check(version):
            if version is not None or refuse:
                raise Denied("there")

        self.both(lambda s: s.put("b", NewVersion(key, 1, b"c", b"m"), self.stage(s, b"x"), check))

    @rule(target=versions, key=KEYS)
    def delete(self, key):
        ours, theirs = self.both(lambda s: s.delete("b", key))
        assert (ours.delete_marker, ours.found) == (theirs.delete_marker, theirs.found)
        return (key, ours.version_id, theirs.version_id) if ours.delete_marker else multiple()

    @rule(version=versions)
    def delete_version(self, version):
        key, *ids = version
        ours, theirs = self.by_id(lambda s, v: s.delete("b", key, v), ids)
        assert (ours.delete_marker, ours.found) == (theirs.delete_marker, theirs.found)

    def by_id(self, operation, ids):
        which = {id(self.memory): ids[0], id(self.files): ids[1]}
        return self.both(lambda s: operation(s, which[id(s)]))

    @rule(version=versions)
    def get_version(self, version):
        key, *ids = version
        ours, theirs = self.by_id(lambda s, v: self.read(s, key, v), ids)
        assert ours == theirs

    @rule(key=KEYS)
    def get(self, key):
        ours, theirs = self.both(lambda s: self.read(s, key, None))
        assert ours == theirs

    async def read(self, store, key, version_id):
        version = await store.get("b", key, version_id)
        if version.delete_marker:
            return plain(version), b""
        body = store.open("b", version)
        buffer = bytearray(body.stored + 3)
        count = body.read_into(0, memoryview(buffer))
        body.close()
        return plain(version), bytes(buffer[:count])

    @rule(version=versions, newest=st.booleans(), tags=st.binary(max_size=5))
    def amend(self, version, newest, tags):
        key, *ids = version
        ours, theirs = self.by_id(
            lambda s, v: s.amend(
                "b", key, None if newest else v, lambda old: replace(old, tags=tags, sealed_by=f"k{len(tags)}")
            ),
            ids,
        )
        assert plain(ours) == plain(theirs)

    @rule(state=st.sampled_from([b"Enabled", b"Suspended"]))
    def configure(self, state):
        self.both(lambda s: s.configure("b", {VERSIONING: state}))

    @rule(target=uploads, key=KEYS)
    def create_upload(self, key):
        return self.both(lambda s: s.create_upload("b", key, b"u"))

    @rule(upload=uploads, number=st.integers(1, 3), size=SIZES)
    def put_part(self, upload, number, size):
        body = self.body(size)
        pair = {id(self.memory): upload[0], id(self.files): upload[1]}
        ours, theirs = self.both(
            lambda s: s.put_part("b", pair[id(s)], PartRecord(number, size, 0, b"p"), self.stage(s, body))
        )
        assert plain(ours) == plain(theirs)

    @rule(target=versions, upload=uploads, numbers=st.sampled_from([[1], [1, 2], [2, 3], [1, 2, 3]]))
    def complete(self, upload, numbers):
        pair = {id(self.memory): upload[0], id(self.files): upload[1]}
        new = NewVersion(upload[0].key, 7, b"mp", b"m")
        ours, theirs = self.both(lambda s: s.complete_upload("b", pair[id(s)], numbers, new))
        if isinstance(ours, type):
            return multiple()
        assert plain(ours) == plain(theirs)
        return (new.key, ours.version_id, theirs.version_id)

    @rule(upload=uploads)
    def abort(self, upload):
        pair = {id(self.memory): upload[0], id(self.files): upload[1]}
        self.both(lambda s: s.abort_upload("b", pair[id(s)]))

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "b", "x"]),
        delimiter=st.sampled_from(["", "/", "b"]),
        limit=st.integers(0, 5),
        after=st.sampled_from(["", "a", "a/", "a/b", "b/x"]),
        versions=st.booleans(),
    )
    def list(self, prefix, delimiter, limit, after, versions):
        query = ListQuery(prefix, after, delimiter, limit, versions)
        ours, theirs = self.both(lambda s: self.page(s, query))
        assert ours == theirs

    async def page(self, store, query):
        """Return this page and the next one, without ids and times."""
        pages = []
        for _ in range(2):
            page = await store.list("b", query)
            entries = [
                replace(e, version_id="null" if e.version_id == "null" else "", modified=0) for e in page.entries
            ]
            pages.append((entries, page.prefixes, page.truncated, page.next_after))
            if not page.truncated:
                break
            query = replace(query, after=page.next_after, after_version=page.next_version)
        return pages

    @rule(prefix=st.sampled_from(["", "a", "a/"]), delimiter=st.sampled_from(["", "/"]), limit=st.integers(0, 3))
    def list_uploads(self, prefix, delimiter, limit):
        ours, theirs = self.both(lambda s: s.uploads("b", prefix, "", "", delimiter, limit))
        assert [u.key for u in ours.uploads] == [u.key for u in theirs.uploads]
        assert (ours.prefixes, ours.truncated, ours.next_key) == (theirs.prefixes, theirs.truncated, theirs.next_key)

    @rule()
    def restart(self):
        self.run(self.files.close())
        self.files = self.run(open_store(self.folder))
        self.run(self.files.cleaned())

    @invariant()
    def totals(self):
        ours, theirs = self.both(lambda s: s.usage("b"))
        assert ours == theirs
        ours, theirs = self.both(lambda s: s.sealed_by("b"))
        assert ours == theirs

    def teardown(self):
        self.run(self.files.close())
        assert check_folder(self.folder).problems == []
        left = list(self.folder.glob("buckets/*/tmp/*"))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)
        assert left == []


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=30,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
