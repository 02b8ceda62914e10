"""mc mirror: what one folder has more or newer goes to another (mc.md 9.9)."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatchcase

from strongroom.cli.mc.cmd_diff import NEWER, SAME, SECOND, SIZE, Difference, compare, folder_entries, url_of
from strongroom.cli.mc.encryption import encryption
from strongroom.cli.mc.failures import Failed, Fatal, missing_object, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.jobs import Cleaner, Report, mover_of, run_jobs, workers_of
from strongroom.cli.mc.listing import Test, age_test, look_up
from strongroom.cli.mc.moving import Job
from strongroom.cli.mc.planning import below, inside, place_within
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import AlreadyExists, Error, Incomplete, Unavailable

CONDITIONS = {SIZE: "size", NEWER: "time"}
POLL_SECONDS = 1.0
RECONNECT_SECONDS = 2.0
RETRIES = 3  # of an object that failed, with --retry


def mirror(shell: Shell, line: Line) -> None:
    """mc mirror SOURCE TARGET."""
    source, target = (shell.located(word) for word in line.args)
    if line.on("active-active"):
        raise Fatal("--active-active is not supported.", "Run `mirror --watch` in each direction.")
    try:
        _must_be_there(source, line.args[0])
        if isinstance(target, Remote) and not target.bucket and (isinstance(source, Local) or source.bucket):
            raise Failed("Bucket name cannot be empty.")
        inner = place_within(source, target)
        if inner and not any(fnmatchcase(f"{inner}/x", pattern) for pattern in line.many("exclude")):
            raise Failed(f"`{line.args[1]}` lies in it: leave it out with --exclude '{inner}/*'.")
    except (Error, OSError) as error:
        raise Fatal(f"Unable to stat source `{line.args[0]}`.", error) from error
    work = _Mirror(shell, line)
    work.run(source, target)
    if line.on("watch"):
        work.watch(source, target)


def _must_be_there(source: Target, word: str) -> None:
    """Raise Failed for a source that is no folder, or a prefix that nothing has: with --remove all would go."""
    if isinstance(source, Local):
        if not source.path.is_dir():
            raise missing_path(source.path)
    elif source.key:
        kind = look_up(source).kind
        if kind != "folder":
            raise Failed(f"Source `{word}` is not a folder.") if kind == "object" else missing_object()


class _Mirror:
    """One run of mirror."""

    def __init__(self, shell: Shell, line: Line) -> None:
        self.shell, self.line = shell, line
        self.rules = encryption(line, line.args, shell.store)
        self.test: Test = age_test(line.text("older-than"), line.text("newer-than"))
        self.excluded, self.classes = line.many("exclude"), set(line.many("exclude-storageclass"))
        self.dry = line.on("dry-run")

    def run(self, source: Target, target: Target) -> None:
        """Compare and copy once; print the summary."""
        shell = self.shell
        progress = Progress(shell.console, draw=not self.line.on("summary"))
        mover, report = mover_of(shell, self.line, progress, self.rules), _MirrorReport(shell, progress)
        report.always = True
        report.silent = self.line.on("summary") or self.dry
        verb = "Failed to copy `{}`."
        try:
            jobs = self._jobs(source, target, report)
            if self.dry:
                for job in jobs:
                    progress.expect(job.entry.size)
                    progress.add(job.entry.size)
            else:
                run_jobs(shell, jobs, mover, report, Cleaner(shell, enabled=False), workers_of(self.line), verb,
                         RETRIES if self.line.on("retry") else 0)  # fmt: skip
        except (Error, OSError) as error:
            if isinstance(error, Fatal):
                raise
            shell.console.error("Failed to perform mirroring", error)
        report.summary()

    def _jobs(self, source: Target, target: Target, report: "_MirrorReport") -> Iterator[Job]:
        if isinstance(source, Remote) and not source.bucket:
            for bucket in source.client.buckets():
                if not any(fnmatchcase(bucket.key, pattern) for pattern in self.line.many("exclude-bucket")):
                    yield from self._bucket_jobs(source, target, bucket.key, report)
            return
        yield from self._pair(source, target, report)

    def _bucket_jobs(self, source: Remote, target: Target, bucket: str, report: "_MirrorReport") -> Iterator[Job]:
        one = replace(source, bucket=bucket, key="")
        if isinstance(target, Remote) and not target.bucket:
            two: Target = replace(target, bucket=bucket, key="")
            if not self.dry:
                with suppress(AlreadyExists):
                    target.client.make_bucket(bucket, self.line.text("region").replace("us-east-1", ""))
        else:
            two = below(target, bucket + "/")
        yield from self._pair(one, two, report)

    def _pair(self, source: Target, target: Target, report: "_MirrorReport") -> Iterator[Job]:
        if isinstance(target, Remote):
            target.client.region(target.bucket)
        pairs = compare(folder_entries(source), folder_entries(target))
        remover = _Remover(self, target, report)
        for found in pairs:
            job = self._decide(found, source, target, remover)
            if job is not None:
                yield job
        remover.finish()

    def _decide(self, found: Difference, source: Target, target: Target, remover: "_Remover") -> Job | None:
        """Return the job that a difference asks for; removals are noted, refusals reported."""
        if self._left_out(found):
            return None
        if found.kind == SECOND:
            if self.line.on("remove"):
                remover.add(found.key)
            return None
        if found.kind == SAME or found.first is None:
            return None
        if found.second is not None and not self.line.on("overwrite"):
            text = (
                f"Overwrite not allowed for `{url_of(target, found.key)}`. Use `--overwrite` to override this behavior."
            )
            condition = CONDITIONS[found.kind]
            self.shell.console.error(f"Failed to perform mirroring, with error condition ({condition})", text)
            return None
        place = Local(str(found.first.path)) if isinstance(source, Local) else below(source, found.key)
        try:
            return Job(place, inside(target, found.key), found.first)
        except Failed as error:
            self.shell.console.error(f"Failed to copy `{place.name}`.", error)
            return None

    def _left_out(self, found: Difference) -> bool:
        if any(fnmatchcase(found.key, pattern) for pattern in self.excluded):
            return True
        entry = found.first
        return entry is not None and (entry.storage_class in self.classes or not self.test(entry))

    # ---- --watch ----

    def watch(self, source: Target, target: Target) -> None:
        """Go on until interrupted: a local source is looked at every second, a remote one tells of its changes."""
        if isinstance(source, Local):
            before: dict[str, object] = {}  # so that what changed while the first run went on is seen
            while True:
                time.sleep(POLL_SECONDS)
                now: dict[str, object] = {entry.key: (entry.size, entry.modified) for entry in folder_entries(source)}
                if now != before:
                    before = now
                    self._again(source, target)
        from strongroom.cli.mc.cmd_watch import batches

        while True:
            try:
                for _ in batches(source, ["put", "delete"], source.key, ""):
                    self._again(source, target)
            except (Incomplete, Unavailable) as error:  # broken: what was missed meanwhile is caught up with at once
                self.shell.console.note(f"{self.shell.program}: {error}; trying again.")
            time.sleep(RECONNECT_SECONDS)

    def _again(self, source: Target, target: Target) -> None:
        """Compare and copy once more, if the source is still there: with --remove all would go."""
        word = self.line.args[0]
        try:
            _must_be_there(source, word)
        except (Error, OSError) as error:
            self.shell.console.error(f"Unable to stat source `{word}`.", error)
        else:
            self.run(source, target)
        self.shell.console.flush()


class _Remover:
    """Deletes what only the target has, 1,000 at a time."""

    def __init__(self, mirror: _Mirror, target: Target, report: "_MirrorReport") -> None:
        self._mirror, self._target, self._report = mirror, target, report
        self._batch: list[Target] = []

    def add(self, key: str) -> None:
        """Note one name."""
        self._batch.append(below(self._target, key))
        if len(self._batch) == 1000:
            self.finish()

    def finish(self) -> None:
        """Delete what was noted."""
        batch, self._batch = self._batch, []
        if not batch or self._mirror.dry:
            return
        remote = [place for place in batch if isinstance(place, Remote)]
        for place in batch:
            if isinstance(place, Local):
                self._file(place)
        if remote:
            keys = [(place.key, "") for place in remote]
            for outcome in remote[0].client.delete(remote[0].bucket, keys):
                self._told(remote[0].at(outcome.key), outcome.message or outcome.code if outcome.code else "")

    def _file(self, place: Local) -> None:
        try:
            place.path.unlink(missing_ok=True)
        except OSError as error:
            self._told(place, error)
        else:
            self._told(place, "")

    def _told(self, place: Target, reason: "OSError | str") -> None:
        if reason:
            self._mirror.shell.console.error(f"Failed to remove `{place.name}`.", reason)
        else:
            self._report.removed(place)


class _MirrorReport(Report):
    """As Report; the records carry running totals and the members that --watch fills in the original."""

    def started(self, job: Job, **_: object) -> None:
        """Say what is copied."""
        super().started(
            job, totalCount=self.progress.objects, totalSize=self.progress.total, eventTime="", eventType=""
        )

    def removed(self, place: Target) -> None:
        """Say what was removed."""
        self.progress.objects += 1
        if self.progress.drawn or self.silent:
            return
        record = {"status": "success", "source": "", "target": place.name, "size": 0,
                  "totalCount": self.progress.objects, "totalSize": self.progress.total, "eventTime": "",
                  "eventType": ""}  # fmt: skip
        self.console.say(record, f"`` -> `{place.name}`")
