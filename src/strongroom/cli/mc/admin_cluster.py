"""mc admin cluster: bucket and IAM metadata as the archives that the original writes (mc.md 10.6)."""

from datetime import UTC, datetime
from pathlib import Path

from strongroom.cli.mc.admin_calls import Desk
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell


def _bucket(line: Line) -> dict[str, str]:
    bucket = line.args[0].partition("/")[2].strip("/")
    return {"bucket": bucket} if bucket else {}


def _save(shell: Shell, line: Line, desk: Desk, path: str, query: dict[str, str], name: str) -> None:
    data = desk.call("GET", path, query)
    stamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S")
    file = Path(line.text("output") or f"{desk.name}-{name}-{stamp}.zip")
    file.touch(mode=0o600)
    file.write_bytes(data)
    record = {"status": "success", "filename": str(file)}
    shell.console.say(record, f"mc: {name} metadata successfully downloaded as {file}", "ok")


def _load(shell: Shell, line: Line, desk: Desk, path: str, query: dict[str, str]) -> None:
    file = line.args[1]
    try:
        body = Path(file).read_bytes()
    except OSError as error:
        raise Fatal(f"Unable to read `{file}`.", error) from error
    answer = desk.json("PUT", path, query, body)
    record: dict[str, object] = {"status": "success", "result": answer}
    shell.console.say(record, f"`{file}` was imported to `{desk.name}`.", "ok")


def bucket_export(shell: Shell, line: Line) -> None:
    """mc admin cluster bucket export ALIAS[/BUCKET]."""
    desk = Desk(shell, line, "Unable to export bucket metadata.")
    _save(shell, line, desk, "export-bucket-metadata", _bucket(line), "bucket")


def bucket_import(shell: Shell, line: Line) -> None:
    """mc admin cluster bucket import ALIAS[/BUCKET] FILE."""
    desk = Desk(shell, line, "Unable to import bucket metadata.")
    _load(shell, line, desk, "import-bucket-metadata", _bucket(line))


def iam_export(shell: Shell, line: Line) -> None:
    """mc admin cluster iam export ALIAS."""
    _save(shell, line, Desk(shell, line, "Unable to export IAM info."), "export-iam", {}, "iam")


def iam_import(shell: Shell, line: Line) -> None:
    """mc admin cluster iam import ALIAS FILE."""
    _load(shell, line, Desk(shell, line, "Unable to import IAM info."), "import-iam", {})
