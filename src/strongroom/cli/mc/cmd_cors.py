"""mc cors: cross-origin rules of buckets (mc.md 9.16)."""

import sys
from pathlib import Path

from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error


def set_(shell: Shell, line: Line) -> None:
    """mc cors set TARGET FILE."""
    word, file = line.args
    failed = f"Unable to set bucket CORS configuration for {word}"
    target = shell.remote(word, failed, "SetBucketCors")
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        target.client.put_config(target.bucket, "cors", body)
    except (Error, OSError) as error:
        raise Fatal(failed, error) from error
    shell.console.say({"status": "success", "op": "set", "url": word}, "Set bucket CORS config successfully.", "ok")


def get(shell: Shell, line: Line) -> None:
    """mc cors get TARGET."""
    word = line.args[0]
    failed = f"Unable to get bucket CORS configuration for {word}"
    target = shell.remote(word, failed, "GetBucketCors")
    try:
        text = target.client.get_config(target.bucket, "cors").decode("utf-8", "replace")
    except Error as error:
        raise Fatal(failed, error) from error
    shell.console.say({"status": "success", "op": "get", "url": word, "cors": text}, text)


def remove(shell: Shell, line: Line) -> None:
    """mc cors remove TARGET."""
    word = line.args[0]
    failed = f"Unable to remove bucket CORS configuration for {word}"
    target = shell.remote(word, failed, "DeleteBucketCors")
    try:
        target.client.drop_config(target.bucket, "cors")
    except Error as error:
        raise Fatal(failed, error) from error
    text = "Removed bucket CORS config successfully."
    shell.console.say({"status": "success", "op": "remove", "url": word}, text, "ok")
