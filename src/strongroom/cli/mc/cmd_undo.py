"""mc undo: take back the last changes of versioned objects (mc.md 9.16)."""

from itertools import groupby

from strongroom.cli.mc.failures import INVALID, Failed, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.listing import Entry, Look, named, remote_entries
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3_xml import parse


def undo(shell: Shell, line: Line) -> None:
    """mc undo [--last N] TARGET...: the newest N versions or markers of each object go."""
    last, action = line.text("last", "1"), line.text("action").upper()
    if not last.isdecimal() or int(last) < 1:
        raise Fatal("Please specify a non zero or valid number of last changes.", INVALID)
    if action not in {"", "PUT", "DELETE"}:
        raise Fatal(f"Unknown action `{action}`, use PUT or DELETE.", INVALID)
    if line.on("recursive") and not (line.on("force") or line.on("dry-run")):
        raise Fatal("--force is required with --recursive, this operation cannot be taken back.")
    for word in line.args:
        target = shell.remote(word, "Unable to undo `{}`.", "Undo")
        try:
            _undo(shell, line, target, int(last), action)
        except Error as error:
            shell.console.error(f"Unable to undo `{word}`.", target.failure(error))


def _undo(shell: Shell, line: Line, target: Remote, last: int, action: str) -> None:
    state = parse(target.client.get_config(target.bucket, "versioning")).get("Status")
    if not state:  # the only version would go, and nothing would come back
        raise Failed(f"Bucket `{target.bucket}` is not versioned, there is nothing to go back to.")
    look = Look(recursive=line.on("recursive"), versions=True)
    found = (entry for entry in remote_entries(target, target.key, look) if not entry.folder)
    for key, group in groupby(found, key=lambda entry: entry.key):
        if not named(key, target.key, recursive=look.recursive):
            continue
        for entry in list(group)[:last]:
            if action and action != ("DELETE" if entry.marker else "PUT"):
                continue
            if not line.on("dry-run"):
                target.client.delete(target.bucket, [(key, entry.version_id)])
            _say(shell, target, entry)


def _say(shell: Shell, target: Remote, entry: Entry) -> None:
    what = "Delete" if entry.marker else "Upload"
    name = target.at(entry.key).name
    record = {"status": "success", "url": name, "versionID": entry.version_id, "key": entry.key,
              "isDeleteMarker": entry.marker}  # fmt: skip
    shell.console.say(record, f"`{name}` {what} (vid={entry.version_id}) is undone.", "ok")
