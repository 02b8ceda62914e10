"""mc admin cluster: bucket and IAM metadata as the archives that the original writes (mc.md 10.6)."""

import os
from pathlib import Path

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell


def _bucket(line: Line) -> dict[str, str]:
    bucket = line.args[0].partition("/")[2].strip("/")
    return {"bucket": bucket} if bucket else {}


def _save(shell: Shell, line: Line, desk: Desk, path: str, query: dict[str, str], name: str) -> None:
    """Keep an archive, readable by its owner alone: that of users holds their secrets."""
    data = desk.call("GET", path, query)
    file = Path(line.text("output") or name)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as target:
        os.fchmod(descriptor, 0o600)
        target.write(data)
    record = {"status": "success", "filename": str(file)}
    shell.console.say(record, f"mc: {file} is written.", "ok")


def _load(shell: Shell, line: Line, desk: Desk, path: str, query: dict[str, str]) -> None:
    """Send an archive; what the server could not apply is named, and makes the exit code 1."""
    file = line.args[1]
    try:
        body = Path(file).read_bytes()
    except OSError as error:
        raise Fatal(f"Unable to read `{file}`.", error) from error
    answer = desk.json("PUT", path, query, body)
    failures = _failures(mapping(answer))
    record: dict[str, object] = {"status": "error" if failures else "success", "result": answer}
    text = "\n".join([f"`{file}` was imported to `{desk.name}`.", *(f"Failed: {each}" for each in failures)])
    shell.console.say(record, text, "bad" if failures else "ok")
    shell.console.failed = shell.console.failed or bool(failures)


def _failures(answer: dict[str, object]) -> list[str]:
    """Return what the answer says was not applied: by bucket and document, or of users and policies by name."""
    lines = [f"{bucket}: {member}: {reason}" for bucket, found in mapping(answer.get("buckets")).items()
             for member, reason in mapping(mapping(found).get("failed")).items()]  # fmt: skip
    failed = answer.get("failed")
    for each in failed if isinstance(failed, list) else []:
        item = mapping(each)
        lines.append(f"{item.get('kind')} {item.get('name')}: {item.get('error')}")
    return lines


def bucket_export(shell: Shell, line: Line) -> None:
    """mc admin cluster bucket export ALIAS[/BUCKET]."""
    desk = Desk(shell, line, "Unable to export bucket metadata.")
    _save(shell, line, desk, "export-bucket-metadata", _bucket(line), "cluster-metadata.zip")


def bucket_import(shell: Shell, line: Line) -> None:
    """mc admin cluster bucket import ALIAS[/BUCKET] FILE."""
    desk = Desk(shell, line, "Unable to import bucket metadata.")
    _load(shell, line, desk, "import-bucket-metadata", _bucket(line))


def iam_export(shell: Shell, line: Line) -> None:
    """mc admin cluster iam export ALIAS."""
    desk = Desk(shell, line, "Unable to export IAM info.")
    _save(shell, line, desk, "export-iam", {}, f"{desk.name}-iam-info.zip")


def iam_import(shell: Shell, line: Line) -> None:
    """mc admin cluster iam import ALIAS FILE."""
    _load(shell, line, Desk(shell, line, "Unable to import IAM info."), "import-iam", {})
