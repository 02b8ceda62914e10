"""`strongroom s3 import SOURCE [TARGET]`: everything that a server holds, copied to another one.

SOURCE and TARGET are aliases. Buckets with their configurations, every version and delete marker with metadata, tags,
retention and holds, encryption of the same kind, users, groups and policies. Can be started again at any time.
"""

import hashlib
import io
import json
import zipfile
from pathlib import Path

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import size, table
from strongroom.cli.mc.import_iam import Archive, Settler, read
from strongroom.cli.mc.jobs import workers_of
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.sdk.s3_errors import S3Error
from strongroom.sdk.s3_import import CONFIGURATIONS, Done, Importer

WORKERS = 8  # objects at a time
LINES = 50  # failures and differences that are printed


def run(shell: Shell, line: Line) -> None:
    """Import, then say what was done and what differs."""
    target_word = line.args[1] if len(line.args) > 1 else "local"
    source, target = shell.admin_alias(line.args[0]), shell.admin_alias(target_word)
    if source.url == target.url:
        raise Fatal("Source and target are the same server.", INVALID)
    mark = hashlib.sha256(f"{source.url}|{target.url}".encode()).hexdigest()[:24]
    dry = line.on("dry-run")
    done = Done(None if dry else shell.store.folder / "import" / f"{mark}.log")
    progress = Progress(shell.console)
    importer = Importer(shell.client(source), shell.client(target), done, keys=_keys(line), dry=dry,
                        report=progress.add, workers=workers_of(line, WORKERS))  # fmt: skip
    desk = Desk(shell, Line(line.command, line.path, (target_word,), line.values), "Unable to import.")
    people: dict[str, int] = {}
    try:
        names = _buckets(importer, line)
        _people(shell, line, importer, desk, people)
        for name in names:
            progress.name(name)
            _one(importer, name)
        _archive_of_buckets(line, importer)
        differences = [] if dry else [text for name in names for text in importer.differences(name, LINES)]
    except Error as error:
        raise error if isinstance(error, Fatal) else Fatal("Unable to import.", error) from error
    finally:
        progress.close()
        done.close()
    _report(shell, importer, people, differences)


def _keys(line: Line) -> dict[str, str]:
    pairs = [text.partition("=") for text in line.many("map-key")]
    if any(not equals for _, equals, _ in pairs):
        raise Fatal("Invalid --map-key value, expected OLD=NEW.", INVALID)
    return {old: new for old, _, new in pairs}


def _buckets(importer: Importer, line: Line) -> list[str]:
    names = [bucket.key for bucket in importer.source.buckets()]
    wanted = line.many("bucket")
    missing = sorted(set(wanted) - set(names))
    if missing:
        raise Fatal(f"Bucket `{missing[0]}` does not exist.")
    return wanted or names


def _one(importer: Importer, name: str) -> None:
    try:
        importer.bucket(name)
    except Error as error:
        importer.tally.failures.append(f"{name}: {error}")


def _people(shell: Shell, line: Line, importer: Importer, desk: Desk, counts: dict[str, int]) -> None:
    """Copy users and policies: from a file, or from the source itself where it gives them out."""
    if line.on("no-iam"):
        return
    file = line.text("iam")
    try:
        archive = _from_file(file) if file else _from_server(shell, line, importer.tally.notes)
    except S3Error as error:
        importer.tally.notes.append(f"users and policies were not imported: {error} (use --iam FILE or --no-iam)")
        return
    settler = Settler(desk, importer.tally.failures.append, dry=importer.dry)
    settler.settle(archive)
    counts.update(settler.counts)


def _from_file(file: str) -> Archive:
    try:
        return read(Path(file).read_bytes())
    except OSError as error:
        raise Fatal(f"Unable to read `{file}`.", error) from error


def _from_server(shell: Shell, line: Line, notes: list[str]) -> Archive:
    """Return the source's archive of users and policies; where it makes none, the policies alone."""
    desk = Desk(shell, line, "Unable to read users and policies.")
    try:
        return read(desk.admin.call("GET", "export-iam", tries=1))
    except S3Error:
        policies = mapping(json.loads(desk.admin.call("GET", "list-canned-policies", tries=1)))
        names = sorted(mapping(desk.sealed("GET", "list-users")))
    if names:
        notes.append(f"users were not imported, the source keeps their secrets: {', '.join(names)} (or --iam FILE)")
    return {"policies": policies}


def _archive_of_buckets(line: Line, importer: Importer) -> None:
    """Apply the configurations in an archive of `admin cluster bucket export`, told apart by their names."""
    file = line.text("bucket-metadata")
    if not file or importer.dry:
        return
    try:
        with zipfile.ZipFile(io.BytesIO(Path(file).read_bytes())) as files:
            for info in files.infolist():
                folder, _, member = info.filename.rpartition("/")
                bucket = folder.rpartition("/")[2]
                name = next((each for each in CONFIGURATIONS if each in member), "")
                if bucket and name:
                    importer.target.put_config(bucket, name, files.read(info))
    except (OSError, zipfile.BadZipFile, Error) as error:
        importer.tally.failures.append(f"{file}: {error}")


def _report(shell: Shell, importer: Importer, people: dict[str, int], differences: list[str]) -> None:
    tally, console = importer.tally, shell.console
    rows = [("Buckets", str(tally.buckets)), ("Versions", str(tally.versions)),
            ("  delete markers", str(tally.markers)), ("  there already", str(tally.skipped)),
            ("Bytes", size(tally.bytes)), ("Failures", str(len(tally.failures))),
            *((name.replace("_", " ").capitalize(), str(count)) for name, count in people.items())]  # fmt: skip
    record = {"status": "error" if tally.failures else "success", "dryRun": importer.dry, "buckets": tally.buckets,
              "versions": tally.versions, "deleteMarkers": tally.markers, "skipped": tally.skipped,
              "bytes": tally.bytes, "iam": people, "failures": tally.failures[:LINES], "notes": tally.notes,
              "differences": differences[:LINES]}  # fmt: skip
    lines = [table(rows), *(f"Note: {text}" for text in tally.notes),
             *(f"Failed: {text}" for text in tally.failures[:LINES]),
             *(f"Differs: {text}" for text in differences[:LINES])]  # fmt: skip
    if not importer.dry:
        lines.append("Version ids and times of modification are the target's own.")
    console.say(record, "\n".join(lines))
    console.failed = console.failed or bool(tally.failures)
