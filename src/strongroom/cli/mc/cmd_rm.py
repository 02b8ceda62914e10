"""mc rm (mc.md 9.8)."""

import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from strongroom.cli.mc.encryption import Encryption, encryption
from strongroom.cli.mc.failures import INVALID, Failed, Fatal, missing_object, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.listing import (
    Entry,
    Look,
    age_test,
    local_entries,
    local_entry,
    look_up,
    remote_entries,
    rewind_time,
)
from strongroom.cli.mc.shell import Local, Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3 import BATCH, Deleted
from strongroom.sdk.s3_errors import NoSuchBucket, S3Error

FORCE = ("Removal requires --force flag. This operation is *IRREVERSIBLE*. Please review carefully before performing "
         "this *DANGEROUS* operation.")  # fmt: skip
SITE = ("This operation results in site-wide removal of objects. If you are really sure, retry this command with "
        "‘--dangerous’ and ‘--force’ flags.")  # fmt: skip


def rm(shell: Shell, line: Line) -> None:
    """mc rm TARGET..."""
    many = any(line.on(name) for name in ("recursive", "versions", "stdin", "purge"))
    if not line.args and not line.on("stdin"):
        raise Fatal("Incorrect number of arguments for rm command.", INVALID)
    if many and not (line.on("force") or line.on("dry-run")):
        raise Fatal(FORCE)
    if line.text("version-id") and any(line.has(name) for name in ("recursive", "versions", "rewind", "non-current")):
        raise Fatal(
            "One version cannot be named together with --recursive, --versions, --non-current or --rewind.", INVALID
        )
    remover = _Remover(shell, line, encryption(line, line.args, shell.store))
    for word in _words(line):
        target = shell.located(word)
        try:
            if isinstance(target, Local):
                remover.local(target, word)
            else:
                remover.remote(target, word)
        except (Error, OSError) as error:
            if isinstance(error, Fatal):
                raise
            shell.console.error(f"Failed to remove `{word}`.", error)


def _words(line: Line) -> Iterator[str]:
    yield from line.args
    if line.on("stdin"):
        for text in sys.stdin:
            if text.strip():
                yield text.rstrip("\r\n")


class _Remover:
    """The flags of one command."""

    def __init__(self, shell: Shell, line: Line, rules: Encryption) -> None:
        self.shell, self.line, self.rules = shell, line, rules
        self.dry, self.bypass = line.on("dry-run"), line.on("bypass")
        self.test = age_test(line.text("older-than"), line.text("newer-than"))
        self.aged = bool(line.text("older-than") or line.text("newer-than"))

    def local(self, target: Local, word: str) -> None:
        """Remove a file, or with -r a folder."""
        path = target.path
        if not path.exists() and not path.is_symlink():
            raise missing_path(path)
        folder = path.is_dir() and not path.is_symlink()
        if folder and not self.line.on("recursive"):
            raise Failed(f"Source `{word}` is a folder.")
        if self.aged:
            self._aged_files(path, folder)
            return
        if not self.dry:
            shutil.rmtree(path) if folder else path.unlink()
        self.say(word, Deleted(word))

    def _aged_files(self, path: Path, folder: bool) -> None:
        """Remove the files of the age that was asked for; folders stay."""
        entries = local_entries(path, Look(recursive=True)) if folder else iter([local_entry(path, path.name)])
        for entry in filter(self.test, entries):
            if not self.dry and entry.path is not None:
                entry.path.unlink(missing_ok=True)
            self.say(str(entry.path), Deleted(str(entry.path)))

    def remote(self, target: Remote, word: str) -> None:
        """Remove what an address names."""
        line = self.line
        if not target.bucket:
            if not line.on("dangerous"):
                raise Fatal(SITE)
            for bucket in target.client.buckets():
                self.tree(Remote(target.alias, target.client, bucket.key), "")
            return
        if line.on("purge"):
            if not target.key:
                raise Failed(f"A bucket is removed with `{self.shell.program} rb --force {word}`.")
            if not self.dry:
                target.client.delete_one(target.bucket, target.key, force=True)
            self.say(target.name, Deleted(target.key))
        elif line.on("incomplete"):
            self.uploads(target)
        elif line.on("recursive") or line.on("versions"):
            self.many(target)
        elif (self.aged or line.text("rewind")) and target.key and not line_version(line):
            self.tree(target, self._existing(target), exact=True)
        else:
            self.single(target, word)

    # ---- one ----

    def single(self, target: Remote, word: str) -> None:
        """Remove one object, after a look whether it is there."""
        version = line_version(self.line)
        if not target.key:
            target.tried(lambda: target.client.head_bucket(target.bucket))
            return
        key = target.key if version else self._existing(target)
        entry = Entry(key, version_id=version)
        if self.dry:
            self.say(word, Deleted(key, version))
            return
        for outcome in target.client.delete(target.bucket, [(entry.key, version)], bypass=self.bypass):
            self.outcome(word, outcome)

    def _existing(self, target: Remote) -> str:
        """Return the key to delete; a refusal to describe it (SSE-C, a marker) is no reason to stop."""
        try:
            found = look_up(target, self.rules.read(target))
        except S3Error as error:
            if error.status in {400, 405}:
                return target.key
            raise target.failure(error) from error
        if found.kind == "missing":
            raise missing_object()
        return found.prefix if found.kind == "folder" else target.key

    # ---- many ----

    def many(self, target: Remote) -> None:
        """Remove everything at and below an address, or all versions of one object."""
        found = None
        if target.key:
            try:
                found = look_up(target, self.rules.read(target))
            except S3Error as error:
                if isinstance(error, NoSuchBucket) or error.status not in {400, 405}:
                    raise target.failure(error) from error
        else:
            target.tried(lambda: target.client.head_bucket(target.bucket))
        if self.line.on("versions") and not self.line.on("recursive"):
            self.tree(target, target.key, exact=True)
            return
        if target.key and not target.key.endswith("/"):
            if found is None or found.kind == "object":
                self.tree(target, target.key, exact=True)
            self.tree(target, target.key + "/")
        else:
            self.tree(target, target.key)

    def tree(self, target: Remote, prefix: str, *, exact: bool = False) -> None:
        """Remove what a listing finds; exact: only versions of that very key."""
        line = self.line
        versions = line.on("versions") or line.on("non-current")
        look = Look(recursive=not exact, versions=versions, rewind=rewind_time(line.text("rewind")))
        wanted = (entry for entry in remote_entries(target, prefix, look)
                  if self._wanted(entry) and (not exact or entry.key == prefix))  # fmt: skip
        for batch in _batches(wanted):
            self._batch(target, batch)

    def _wanted(self, entry: Entry) -> bool:
        current = self.line.on("non-current") and entry.latest
        return not entry.folder and not current and self.test(entry)

    def _batch(self, target: Remote, batch: list[Entry]) -> None:
        by_version = self.line.on("versions") or self.line.on("non-current")
        keys = [(entry.key, entry.version_id if by_version else "") for entry in batch]
        if self.dry:
            for key, version in keys:
                self.say(target.at(key).name, Deleted(key, version))
            return
        for outcome in target.client.delete(target.bucket, keys, bypass=self.bypass):
            self.outcome(target.at(outcome.key).name, outcome)

    def uploads(self, target: Remote) -> None:
        """Forget unfinished uploads."""
        below = target.key + "/" if target.key and not target.key.endswith("/") else target.key
        target.tried(lambda: target.client.head_bucket(target.bucket))
        count = 0
        for found in list(target.client.uploads(target.bucket, target.key)):
            if found.key == target.key or (self.line.on("recursive") and found.key.startswith(below)):
                count += 1
                if not self.dry:
                    target.client.abort_upload(target.bucket, found.key, found.upload_id)
                self.say(target.at(found.key).name, Deleted(found.key))
        if not count and not self.line.on("recursive"):
            raise missing_object()

    # ---- saying it ----

    def outcome(self, name: str, outcome: Deleted) -> None:
        """Print one key's result."""
        if not outcome.code:
            self.say(name, outcome)
        elif outcome.code not in {"InvalidArgument", "NoSuchVersion"}:
            text = outcome.message
            if "WORM" in text:
                which = f"'{outcome.key} (Version ID={outcome.version_id})'"
                text = f"Object, {which} is WORM protected and cannot be overwritten"
            self.shell.console.error(f"Failed to remove `{name}`.", text)

    def say(self, name: str, outcome: Deleted) -> None:
        """Print that a key was, or would be, removed."""
        made = bool(outcome.marker_version) and not outcome.version_id
        version = outcome.marker_version if made else outcome.version_id
        record = {"status": "success", "key": name, "deleteMarker": outcome.marker and made, "versionID": version,
                  "modTime": None, "dryRun": self.dry}  # fmt: skip
        paint = self.shell.console.paint
        shown = paint(f"`{name}`", "good")
        with_version = f" (versionId={version})" if version else ""
        if self.dry:
            text = f"DRYRUN: Removing {shown}{with_version}."
        elif made:
            text = f"Created delete marker {shown}{with_version}."
        else:
            text = f"Removed {shown}{with_version}."
        self.shell.console.say(record, text)


def line_version(line: Line) -> str:
    """Return --version-id."""
    return line.text("version-id")


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
