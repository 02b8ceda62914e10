"""mc admin config: settings that the server keeps (mc.md 10.6)."""

import sys

from strongroom.cli.mc.admin_calls import Desk
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell


def get(shell: Shell, line: Line) -> None:
    """mc admin config get ALIAS [KEY]."""
    key = " ".join(line.args[1:])
    desk = Desk(shell, line, f"Unable to get server '{key}' config")
    text = desk.unseal(desk.call("GET", "get-config-kv", {"key": key})).decode("utf-8", "replace").rstrip("\n")
    shell.console.say({"status": "success", "value": text}, text)


def set_(shell: Shell, line: Line) -> None:
    """mc admin config set ALIAS KEY NAME=VALUE..."""
    text = " ".join(line.args[1:])
    desk = Desk(shell, line, f"Unable to set '{line.args[1]}' config to server")
    desk.call("PUT", "set-config-kv", None, desk.seal_text(text))
    shell.console.say({"status": "success", "setStatus": True}, "Successfully applied new settings.", "ok")


def reset(shell: Shell, line: Line) -> None:
    """mc admin config reset ALIAS [KEY...]."""
    text = " ".join(line.args[1:])
    desk = Desk(shell, line, f"Unable to reset '{text}' config on the server")
    desk.call("DELETE", "del-config-kv", None, desk.seal_text(text))
    shell.console.say({"status": "success", "resetStatus": True}, f"'{text}' is successfully reset.", "ok")


def export(shell: Shell, line: Line) -> None:
    """mc admin config export ALIAS."""
    desk = Desk(shell, line, "Unable to export server config")
    text = desk.unseal(desk.call("GET", "config")).decode("utf-8", "replace").rstrip("\n")
    shell.console.say({"status": "success", "value": text}, text)


def import_(shell: Shell, line: Line) -> None:
    """mc admin config import ALIAS: from standard input."""
    desk = Desk(shell, line, "Unable to set server config")
    desk.call("PUT", "config", None, desk.seal_text(sys.stdin.read()))
    shell.console.say({"status": "success"}, "Successfully applied new settings.", "ok")
