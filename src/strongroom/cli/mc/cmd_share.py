"""mc share: URLs for people without keys, and the record of them (mc.md 9.10)."""

import json
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from strongroom.cli.mc.aliases import write_private
from strongroom.cli.mc.failures import INVALID, Fatal, missing_object
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import long_duration, moment, parse_duration, rfc3339
from strongroom.cli.mc.listing import Look, look_up, remote_entries
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3_presign import post_form, presigned

WEEK = 7 * 24 * 3600
Record = dict[str, object]


def _expiry(line: Line) -> int:
    text = line.text("expire", "168h")
    try:
        seconds = int(parse_duration(text))
    except ValueError as error:
        raise Fatal("Unable to parse expire=`" + text + "`.", str(error)) from error
    if seconds < 1:
        raise Fatal("Expiry cannot be lesser than 1 second.")
    if seconds > WEEK:
        raise Fatal("Expiry cannot be larger than 7 days.")
    return seconds


class _Book:
    """uploads.json or downloads.json of the share folder. Format: docs/formats/mc-config.md."""

    def __init__(self, shell: Shell, name: str) -> None:
        self.file: Path = shell.store.folder / "share" / f"{name}.json"

    def load(self, now: datetime) -> dict[str, Record]:
        """Return what has not expired, by shared URL or command."""
        try:
            document = json.loads(self.file.read_text("utf-8"))
            shares = document.get("shares", {})
        except (OSError, ValueError, AttributeError):
            return {}
        known = shares.items() if isinstance(shares, dict) else ()
        return {share: record for share, record in known if isinstance(record, dict) and _left(record, now) > 0}

    def add(self, made: dict[str, Record], now: datetime) -> None:
        """Keep new shares."""
        document = {"version": "1", "shares": {**self.load(now), **made}}
        write_private(self.file, json.dumps(document, indent="\t"))


def _left(record: Record, now: datetime) -> float:
    """Return the seconds that a share is still valid for."""
    expiry = record.get("expiry", 0)
    made = moment(str(record.get("date", "")))
    return (made - now).total_seconds() + (expiry / 1e9 if isinstance(expiry, int | float) else 0)


def _show(shell: Shell, url: str, share: str, seconds: float, kind: str) -> None:
    record: Record = {"status": "success", "url": url, "share": share, "timeLeft": int(seconds * 1e9)}
    if kind:
        record["contentType"] = kind
    paint = shell.console.paint
    lines = [paint(f"URL: {url}", "name"), paint(f"Expire: {long_duration(seconds)}", "cyan")]
    lines += [paint(f"Content-Type: {kind}", "cyan")] if kind else []
    lines.append(paint(f"Share: {share}", "ok"))
    shell.console.say(record, "\n".join(lines))


def download(shell: Shell, line: Line) -> None:
    """mc share download TARGET..."""
    seconds, now = _expiry(line), datetime.now(UTC)
    made: dict[str, Record] = {}
    for word in line.args:
        target = shell.remote(word, "Unable to stat `{}`.", "ShareDownload")
        version = line.text("version-id")
        query = [("versionId", version)] if version else []
        try:
            for place in _objects(target, line):
                region = place.client.region(place.bucket)
                share = presigned(place.client.caller, "GET", place.bucket, place.key, query, region, seconds)
                made[share] = {
                    "share": place.url,
                    "versionID": version,
                    "date": rfc3339(now),
                    "expiry": seconds * 10**9,
                }
                _show(shell, place.url, share, seconds, "")
        except Error as error:
            raise Fatal(f"Unable to stat `{word}`.", error) from error
    _Book(shell, "downloads").add(made, now)


def _objects(target: Remote, line: Line) -> Iterator[Remote]:
    if not line.on("recursive"):
        if not line.text("version-id") and look_up(target).kind not in {"object"}:
            raise missing_object()
        yield target
        return
    found = look_up(target) if target.key else None
    prefix = target.key if found is None or found.kind == "object" else found.prefix
    for entry in remote_entries(target, prefix, Look(recursive=True)):
        yield target.at(entry.key)


def upload(shell: Shell, line: Line) -> None:
    """mc share upload TARGET...: a curl command with the fields of a signed form."""
    seconds, now, kind = _expiry(line), datetime.now(UTC), line.text("content-type")
    made: dict[str, Record] = {}
    for word in line.args:
        target = shell.remote(word, "Unable to generate curl command for upload for `{}`.", "ShareUpload")
        if not target.bucket:
            raise Fatal(f"Unable to generate curl command for upload for `{word}`.", "Bucket name cannot be empty.")
        share = _command(target, line, seconds, kind)
        made[share] = {"share": target.url, "versionID": "", "date": rfc3339(now), "expiry": seconds * 10**9,
                       "contentType": kind}  # fmt: skip
        _show(shell, target.url, share, seconds, kind)
    _Book(shell, "uploads").add(made, now)


def _command(target: Remote, line: Line, seconds: int, kind: str) -> str:
    recursive = line.on("recursive")
    region = target.client.region(target.bucket)
    conditions: list[object] = []
    fields = {"Content-Type": kind} if kind else {}
    if recursive:
        conditions.append(["starts-with", "$key", target.key])
    else:
        fields["key"] = target.key
    form = post_form(target.client.caller, target.bucket, conditions, fields, region, seconds)
    form.pop("key", None)
    pool, path = target.client.caller.place(target.bucket, "")
    words = [f"curl {target.client.caller.url(pool, path)}"]
    words += [_field(name, value) for name, value in form.items()]
    key = _field("key", target.key) + ("<NAME>" if recursive else "")
    return " ".join([*words, key, "-F file=@<FILE>"])


def _field(name: str, value: str) -> str:
    """Return a form field as a shell and curl take it literally, whatever the name of an object holds."""
    if value[:1] in {"@", "<"} or any(mark in value for mark in ';,"\\'):  # curl reads more into these
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"-F {shlex.quote(f'{name}={value}')}"


def list_(shell: Shell, line: Line) -> None:
    """mc share list upload|download."""
    name = {"upload": "uploads", "download": "downloads"}.get(line.args[0])
    if name is None:
        raise Fatal(f"Unrecognized share type `{line.args[0]}`, use upload or download.", INVALID)
    now = datetime.now(UTC)
    for share, record in _Book(shell, name).load(now).items():
        left = timedelta(seconds=_left(record, now)).total_seconds()
        _show(shell, str(record.get("share", "")), share, left, str(record.get("contentType") or ""))
