"""mc quota: hard limits of buckets (mc.md 9.16)."""

import json

from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import parse_size, size
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.sdk.s3_admin import Admin


def _put(shell: Shell, line: Line, limit: int, text: str) -> None:
    word = line.args[0]
    target = shell.remote(word, "Unable to initialize admin connection.", "SetQuota")
    body = json.dumps({"quota": limit, "size": limit, "rate": 0, "requests": 0, "quotatype": "hard" if limit else ""})
    try:
        Admin(target.client).call("PUT", "set-bucket-quota", {"bucket": target.bucket}, body.encode())
    except Error as error:
        raise Fatal(f"Unable to set quota for `{word}`", error) from error
    record = {"status": "success", "bucket": target.bucket, "quota": limit, "type": "hard"}
    shell.console.say(record, text, "ok")


def set_(shell: Shell, line: Line) -> None:
    """mc quota set TARGET --size SIZE."""
    try:
        limit = parse_size(line.text("size"))
    except ValueError as error:
        raise Fatal("Unable to parse quota", str(error)) from error
    _put(shell, line, limit, f"Successfully set bucket quota of {size(limit)} on `{line.args[0]}`")


def clear(shell: Shell, line: Line) -> None:
    """mc quota clear TARGET."""
    _put(shell, line, 0, f"Successfully cleared bucket quota configured on `{line.args[0]}`")


def info(shell: Shell, line: Line) -> None:
    """mc quota info TARGET."""
    word = line.args[0]
    target = shell.remote(word, "Unable to initialize admin connection.", "GetQuota")
    try:
        found = Admin(target.client).get_json("get-bucket-quota", {"bucket": target.bucket})
    except Error as error:
        raise Fatal(f"Unable to get bucket quota for `{word}`", error) from error
    limit = int(found.get("quota") or found.get("size") or 0) if isinstance(found, dict) else 0
    text = f"Bucket `{word}` has hard quota of {size(limit)}" if limit else f"Bucket `{word}` has no quota"
    shell.console.say({"status": "success", "bucket": target.bucket, "quota": limit, "type": "hard"}, text)
