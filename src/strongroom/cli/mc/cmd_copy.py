"""mc cp, mv, put and get (mc.md 9.4, 9.5)."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace

from strongroom.cli.mc.encryption import Encryption, encryption
from strongroom.cli.mc.failures import INVALID, Failed, Fatal, missing_object, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import amount, moment, parse_size, rfc3339, table, took
from strongroom.cli.mc.listing import (
    Entry,
    Found,
    Look,
    Test,
    age_test,
    local_entries,
    local_entry,
    look_up,
    remote_entries,
    rewind_time,
)
from strongroom.cli.mc.metadata import attributes, checksum_name, retention_headers, tags_header
from strongroom.cli.mc.moving import Job, Mover, remove_file
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import Error
from strongroom.sdk.crew import Crew
from strongroom.sdk.s3 import BATCH
from strongroom.sdk.s3_errors import S3Error
from strongroom.sdk.s3_transfer import PART, Plan

WORKERS = 8  # objects at a time: more threads only fight for the interpreter (benchmarks/mc.py)
PREPARE = "Unable to prepare URL for copying."


# ---- flags ----


def plan_of(line: Line, environ: dict[str, str] | None = None) -> Plan:
    """Return part size, parallel parts and checksum; raise Fatal."""
    try:
        size = parse_size(line.text("part-size")) if line.text("part-size") else PART
        parallel = int(line.text("parallel") or line.text("concurrent") or 4)
        if parallel < 1:
            raise ValueError("there must be one stream at least")
        plan = Plan(size, parallel, not line.on("disable-multipart"), checksum_name(line))
        plan.size_of_part(0)
    except (ValueError, Error) as error:
        if isinstance(error, Fatal):
            raise
        raise Fatal("Invalid transfer flags.", str(error)) from error
    return plan


def stored_headers(line: Line) -> list[tuple[str, str]]:
    """Return the headers that --storage-class, --tags and retention flags stand for."""
    headers = retention_headers(line)
    if line.text("storage-class"):
        headers.append(("X-Amz-Storage-Class", line.text("storage-class")))
    if line.text("tags"):
        headers.append(("X-Amz-Tagging", tags_header(line.text("tags"))))
    return headers


def mover_of(shell: Shell, line: Line, progress: Progress, rules: Encryption) -> Mover:
    """Return a Mover for the flags of cp, mv, mirror and put."""
    return Mover(shell, progress, rules, plan_of(line), stored_headers(line), attributes(line.text("attr")),
                 preserve=line.on("preserve"))  # fmt: skip


def workers_of(line: Line) -> int:
    """Return --max-workers."""
    text = line.text("max-workers")
    if text and (not text.isdigit() or int(text) < 1):
        raise Fatal(f"Invalid --max-workers `{text}`.", INVALID)
    return int(text) if text else WORKERS


# ---- cp and mv ----


def cp(shell: Shell, line: Line) -> None:
    """mc cp SOURCE... TARGET."""
    _copy(shell, line, remove=False)


def mv(shell: Shell, line: Line) -> None:
    """mc mv SOURCE... TARGET."""
    _copy(shell, line, remove=True)


class Report:
    """Prints one line per object and the summary."""

    def __init__(self, shell: Shell, progress: Progress) -> None:
        self.console, self.progress, self.count = shell.console, progress, 0
        self.silent = False
        self.always = False  # print the summary even when nothing but errors happened

    def started(self, job: Job, **more: object) -> None:
        """Say what moves: an arrow, or a record; nothing while a bar is on the screen."""
        self.count += 1
        if self.progress.drawn or self.silent:
            return
        record = {"status": "success", "source": job.source_name, "target": job.target.name, "size": job.entry.size,
                  "totalCount": self.progress.objects, "totalSize": 0, **more}  # fmt: skip
        self.console.say(record, f"`{job.source_name}` -> `{job.target.name}`")

    def summary(self) -> None:
        """Print what was reached; nothing when the only thing that happened is an error."""
        progress = self.progress
        progress.close()
        if progress.drawn or (self.console.failed and not progress.current and not self.always):
            return
        seconds = progress.seconds
        speed = progress.current / seconds if seconds else 0.0
        record = {"status": "success", "total": progress.total, "transferred": progress.current,
                  "duration": int(seconds * 1e9), "speed": speed}  # fmt: skip
        rows = [("Total", "Transferred", "Duration", "Speed"),
                (amount(progress.total), amount(progress.current), took(seconds), f"{amount(speed)}/s")]  # fmt: skip
        self.console.say(record, table(rows))


def _copy(shell: Shell, line: Line, *, remove: bool) -> None:
    *words, last = line.args
    rules = encryption(line, line.args)
    progress = Progress(shell.console)
    mover = mover_of(shell, line, progress, rules)
    report = Report(shell, progress)
    clean = Cleaner(shell, mover, enabled=remove)
    try:
        target = shell.target(last) if not last.startswith(("http://", "https://")) else Local(last)
        if isinstance(target, Remote) and target.bucket:
            mover.locked(target)
        jobs = Planner(shell, line, rules, mover, remove=remove).jobs(words, target)
        run_jobs(shell, jobs, mover, report, clean, workers_of(line))
    except (Error, OSError) as error:
        if isinstance(error, Fatal):
            raise
        progress.close()
        shell.console.error(PREPARE, error)
        return
    clean.finish()
    report.summary()


def run_jobs(shell: Shell, jobs: Iterable[Job], mover: Mover, report: Report, clean: "Cleaner", workers: int,
             verb: str = "Failed to copy `{}`.") -> None:  # fmt: skip
    """Do all jobs on so many threads; a failed one is reported and the others go on."""
    left = set[str]()

    def work(job: Job) -> None:
        report.started(job)
        try:
            mover.move(job)
            clean.moved(job)
        except (Error, OSError, EOFError) as error:
            shell.console.error(verb.format(job.source_name), error)
        left.discard(job.source_name)

    crew = Crew(workers, work)
    shell.console.unfinished = lambda: ", ".join(f"`{name}`" for name in sorted(left)[:5]) or "nothing"
    try:
        for job in jobs:
            mover.progress.expect(job.entry.size)
            left.add(job.source_name)
            if not crew.feed(job):
                break
    except BaseException as error:
        crew.stop()
        if isinstance(error, (Error, OSError)):
            crew.finish()
        raise
    crew.finish()
    shell.console.unfinished = None


class Cleaner:
    """Removes what has been moved: files at once, objects in batches."""

    def __init__(self, shell: Shell, mover: Mover, *, enabled: bool) -> None:
        self._shell, self._mover, self._enabled = shell, mover, enabled
        self._lock = threading.Lock()
        self._objects: dict[tuple[str, str], list[tuple[Remote, str]]] = {}

    def moved(self, job: Job) -> None:
        """Note, or remove, the source of a finished job."""
        if not self._enabled:
            return
        source = job.source
        if isinstance(source, Local):
            remove_file(source.path)
            return
        with self._lock:
            batch = self._objects.setdefault((source.alias.name, source.bucket), [])
            batch.append((source, job.entry.version_id))
            full = len(batch) >= BATCH
            if full:
                self._objects[source.alias.name, source.bucket] = []
        if full:
            self._delete(batch)

    def finish(self) -> None:
        """Remove what is left."""
        for batch in self._objects.values():
            if batch:
                self._delete(batch)

    def _delete(self, batch: list[tuple[Remote, str]]) -> None:
        place = batch[0][0]
        keys = sorted((source.key, version) for source, version in batch)
        for outcome in place.client.delete(place.bucket, keys):
            if outcome.code:
                self._shell.console.error(f"Failed to remove `{place.at(outcome.key).name}`.", outcome.message)


class Planner:
    """Finds out what the arguments of cp and mv mean (mc.md 9.4)."""

    def __init__(self, shell: Shell, line: Line, rules: Encryption, mover: Mover, *, remove: bool) -> None:
        self.shell, self.rules, self.mover, self.remove = shell, rules, mover, remove
        self.recursive = line.on("recursive")
        self.version_id, self.rewind = line.text("version-id"), rewind_time(line.text("rewind"))
        self.test: Test = age_test(line.text("older-than"), line.text("newer-than"))

    def jobs(self, words: list[str], target: Target) -> Iterator[Job]:
        """Yield the jobs; raise typed failures before the first one where that is possible."""
        sources = [self.shell.target(word) for word in words]
        if self.recursive:
            return self._recursive(sources, target)
        found = [self._single(source) for source in sources]
        folder = self._is_folder(target)
        if len(sources) > 1 and not folder:
            raise Failed(INVALID)
        self.mover.restate = len(sources) == 1
        return iter([self._job(source, target, entry, head, folder) for source, (entry, head) in
                     zip(sources, found, strict=True)])  # fmt: skip

    def _job(self, source: Target, target: Target, entry: Entry, head: Found | None, folder: bool) -> Job:
        name = source.path.name if isinstance(source, Local) else source.key.rpartition("/")[2]
        where = below(target, name) if folder else target
        same = isinstance(source, Local) and isinstance(where, Local) and source.path == where.path
        onto = isinstance(source, Remote) and isinstance(where, Remote) and source.name == where.name
        if same or (onto and self.remove):
            raise Failed(f"Copying or moving '{source.name}' into itself is not allowed.")
        return Job(source, where, entry, head.head if head else None)

    def _single(self, source: Target) -> tuple[Entry, Found | None]:
        """Describe a source that must be one file or object."""
        if isinstance(source, Local):
            if not source.path.exists():
                raise Failed(missing_path(source.path).cause.text)
            if source.path.is_dir():
                raise Failed(f"To copy or move '{source.text}' the --recursive flag is required.")
            return local_entry(source.path, source.path.name), None
        version = self.version_id or self._as_of(source)
        try:
            found = look_up(source, self.rules.read(source), version)
        except Failed as error:
            raise Failed(error.cause.text) from error
        if found.kind in {"alias", "bucket", "folder"}:
            raise Failed(f"To copy or move '{source.text}' the --recursive flag is required.")
        if found.head is None:
            raise missing_object()
        head = found.head
        key = source.key.rpartition("/")[2]
        return Entry(key, head.size, rfc3339(moment(head.modified)), etag=head.etag, version_id=version), found

    def _as_of(self, source: Remote) -> str:
        if self.rewind is None:
            return ""
        look = Look(rewind=self.rewind)
        entries = remote_entries(source, source.key, look)
        return next((entry.version_id for entry in entries if entry.key == source.key), "")

    def _is_folder(self, target: Target) -> bool:
        if isinstance(target, Local):
            return target.text.endswith(("/", "\\")) or target.path.is_dir()
        if not target.bucket:
            raise Failed("Bucket name cannot be empty.")
        if not target.key:
            self._seen(target)
            return True
        if target.key.endswith("/"):
            return True
        try:
            return look_up(target, self.rules.read(target)).kind == "folder"
        except (S3Error, Failed):
            return False  # who may not look may still write

    def _seen(self, target: Remote) -> None:
        """Look at the bucket: a missing one is reported per object, so that every file is named."""
        try:
            target.client.head_bucket(target.bucket)
        except Error:
            return

    # ---- with -r ----

    def _recursive(self, sources: list[Target], target: Target) -> Iterator[Job]:
        for source in sources:
            for entry, below_name in self._walk(source):
                if self.test(entry):
                    yield self._walked(source, target, entry, below_name)

    def _walked(self, source: Target, target: Target, entry: Entry, name: str) -> Job:
        if isinstance(source, Local):
            found: Target = Local(str(entry.path))
        else:
            found = source.at(entry.key)
        return self._job(found, replace_key(target, name), entry, None, folder=False)

    def _walk(self, source: Target) -> Iterator[tuple[Entry, str]]:
        """Yield every object below a source with its name below the target."""
        if isinstance(source, Local):
            if not source.path.exists():
                raise Failed(missing_path(source.path).cause.text)
            if not source.path.is_dir():
                yield local_entry(source.path, source.path.name), source.path.name
                return
            keep = "" if source.text.endswith(("/", "\\", ".")) else source.path.name + "/"
            for entry in local_entries(source.path, Look(recursive=True)):
                yield entry, keep + entry.key
            return
        yield from self._walk_remote(source)

    def _walk_remote(self, source: Remote) -> Iterator[tuple[Entry, str]]:
        if not source.bucket:
            for bucket in source.client.buckets():
                for entry, name in self._walk_remote(replace(source, bucket=bucket.key, key="")):
                    yield entry, f"{bucket.key}/{name}" if name else name
            return
        found = look_up(source, self.rules.read(source))
        if found.kind == "object" and found.head is not None:
            head = found.head
            name = source.key.rpartition("/")[2]
            yield Entry(source.key, head.size, rfc3339(moment(head.modified)), etag=head.etag), name
            return
        if found.kind == "missing" and not source.key.endswith("/"):
            raise missing_object()
        prefix = found.prefix
        slash = source.text.endswith("/") if source.text else True
        keep = "" if slash else (source.key.rpartition("/")[2] or source.bucket) + "/"
        for entry in remote_entries(source, prefix, Look(recursive=True, rewind=self.rewind)):
            yield entry, keep + entry.key[len(prefix) :]


def below(target: Target, name: str) -> Target:
    """Return the address of name in a folder."""
    if isinstance(target, Local):
        text = target.text if target.text.endswith(("/", "\\")) else target.text + "/"
        return Local(text + name)
    key = target.key if not target.key or target.key.endswith("/") else target.key + "/"
    return target.at(key + name)


def replace_key(target: Target, name: str) -> Target:
    """As below; `..` in a key never leaves the target folder."""
    if isinstance(target, Local) and any(part in {"..", ""} for part in name.rstrip("/").split("/")):
        raise Failed(f"`{name}` cannot be a path below `{target.text}`.")
    return below(target, name)


# ---- put and get ----


def put(shell: Shell, line: Line) -> None:
    """mc put FILE TARGET."""
    if len(line.args) != 2:
        raise Fatal("Incorrect number of arguments for put command.", INVALID)
    source, target = Local(line.args[0]), shell.remote(line.args[1], "Unable to upload.", "put")
    if not target.key or target.key.endswith("/"):
        where = below(target, source.path.name)
        target = where if isinstance(where, Remote) else target
    if not source.path.is_file():
        shell.console.error("Unable to upload.", missing_path(source.path))
        return
    rules = encryption(line, line.args[1:])
    progress = Progress(shell.console)
    mover = mover_of(shell, line, progress, rules)
    mover.md5[target.alias.name, target.bucket] = False
    if line.on("if-not-exists"):
        mover.headers = [*mover.headers, ("If-None-Match", "*")]
    job = Job(source, target, local_entry(source.path, source.path.name))
    _one(shell, job, mover, progress, "unable to upload", {"totalCount": 0})


def get(shell: Shell, line: Line) -> None:
    """mc get SOURCE FILE."""
    if len(line.args) != 2:
        raise Fatal("Incorrect number of arguments for get command.", INVALID)
    source, target = shell.remote(line.args[0], "Unable to download.", "get"), Local(line.args[1])
    if target.text.endswith("/") or target.path.is_dir():
        where = below(target, source.key.rpartition("/")[2])
        target = where if isinstance(where, Local) else target
    rules = encryption(line, line.args[:1])
    progress = Progress(shell.console)
    mover = Mover(shell, progress, rules, plan_of(line))
    try:
        head = source.tried(lambda: source.client.head(source.bucket, source.key, line.text("version-id"),
                                                       rules.read(source)))  # fmt: skip
    except Error as error:
        progress.close()
        raise Fatal("Unable to download.", error) from error
    entry = Entry(source.key, head.size, etag=head.etag, version_id=line.text("version-id"))
    _one(shell, Job(source, target, entry, head), mover, progress, "unable to download", {"totalCount": 0})


def _one(shell: Shell, job: Job, mover: Mover, progress: Progress, failed: str, more: dict[str, object]) -> None:
    report = Report(shell, progress)
    progress.expect(job.entry.size)
    report.started(job, **more)
    shell.console.unfinished = lambda: f"`{job.source_name}`"
    try:
        mover.move(job)
    except (Error, OSError, EOFError) as error:
        progress.close()
        raise Fatal(failed, error) from error
    report.summary()
