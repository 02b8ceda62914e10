"""Running many transfers: what the flags say about them, threads, the report, the removal of what was moved."""

import threading
import time
from collections.abc import Iterable

from strongroom.cli.mc.encryption import Encryption
from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import amount, parse_size, table, took
from strongroom.cli.mc.metadata import attributes, checksum_name, retention_headers, tags_header
from strongroom.cli.mc.moving import Job, Mover, remove_file
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Local, Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.crew import Crew
from strongroom.sdk.s3 import BATCH
from strongroom.sdk.s3_transfer import PART, Plan

RETRY_SECONDS = 1.0
WORKERS = 16  # objects at a time: a server commits what comes together (benchmarks/mc.py: 8 cost it a quarter more)


def plan_of(line: Line) -> Plan:
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


def workers_of(line: Line, default: int = WORKERS) -> int:
    """Return --max-workers; raise Fatal."""
    text = line.text("max-workers")
    if text and (not text.isdecimal() or int(text) < 1):
        raise Fatal(f"Invalid --max-workers `{text}`.", INVALID)
    return int(text) if text else default


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


def run_jobs(shell: Shell, jobs: Iterable[Job], mover: Mover, report: Report, clean: "Cleaner", workers: int,
             verb: str = "Failed to copy `{}`.", retries: int = 0) -> None:  # fmt: skip
    """Do all jobs on so many threads; a failed one is tried again, then reported, and the others go on."""
    left = set[str]()

    def work(job: Job) -> None:
        report.started(job)
        for number in range(retries, -1, -1):
            try:
                mover.move(job)
                clean.moved(job)
                break
            except (Error, OSError, EOFError) as error:
                if not number:
                    shell.console.error(verb.format(job.source_name), error)
                    break
            time.sleep(RETRY_SECONDS)
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

    def __init__(self, shell: Shell, *, enabled: bool) -> None:
        self._shell, self._enabled = shell, enabled
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
