"""mc admin service restart and stop (mc.md 10.3)."""

import json
import select
import socket
import time
from contextlib import closing
from urllib.parse import urlsplit

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.admin_info import plural, rows_of
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import go_duration, table
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.net.dialling import Unreachable

POLL_SECONDS = 0.1
GONE_SECONDS = 10.0  # how long a server may answer requests before it goes down
STAYS_SECONDS = 0.2  # a server that keeps a connection this long is the new one
RESTART_SECONDS = 120.0


def stop(shell: Shell, line: Line) -> None:
    """mc admin service stop ALIAS."""
    desk = Desk(shell, line, "Unable to stop the server.")
    desk.call("POST", "service", {"action": "stop", "dry-run": "false", "type": "2"}, b"")
    shell.console.say({"status": "success", "serverURL": desk.name}, f"Stopped `{desk.name}` successfully.", "ok")


def restart(shell: Shell, line: Line) -> None:
    """mc admin service restart ALIAS: ends when the server is back. Plain lines, so that it needs no terminal."""
    desk = Desk(shell, line, "Unable to restart the server.")
    dry, wait = line.on("dry-run"), line.on("wait")
    started = time.monotonic()
    with closing(_watch(desk.alias.url)) as watch:
        result = _ask(desk, dry)
        asked = time.monotonic() - started
        if not dry:
            if wait and shell.console.json:
                shell.console.say(_record(desk, result, asked, 0.0, 0))
            elif wait:
                shell.console.note(f"Restart command successfully sent to `{desk.name}`. Type Ctrl-C to quit or wait "
                                   "to follow the status of the restart process.")  # fmt: skip
            _until_gone(watch, GONE_SECONDS)
            _until_ready(desk)
    whole = time.monotonic() - started
    if shell.console.json:
        shell.console.say(_record(desk, result, asked, whole - asked if wait else 0.0, 2))
        return
    rows = [("Servers:", _servers(result)), ("Restart Time:", go_duration(asked if wait else whole))]
    if wait and not dry:
        rows.append(("Background Init Time:", go_duration(whole - asked)))
    shell.console.line(
        f"Service status: {shell.console.paint('[DONE]', 'good')}\nSummary:\n{table(rows, indent='    ')}"
    )
    if not dry and not shell.console.terminal:
        shell.console.line(f"Restarted `{desk.name}` successfully in {plural(max(round(whole), 1), 'second')}")


def _ask(desk: Desk, dry: bool) -> dict[str, object]:
    """Send the command; the older form, without a type, answers with nothing."""
    query = {"action": "restart", "dry-run": "true" if dry else "false", "type": "2"}
    try:
        data = desk.admin.call("POST", "service", query, b"")
        return mapping(json.loads(data)) if data.strip() else {}
    except Error as error:
        if dry:
            raise Fatal(desk.failed, error) from error
        desk.call("POST", "service", {"action": "restart"}, b"")
        return {}


def _servers(result: dict[str, object]) -> str:
    rows = [mapping(each) for each in rows_of(result.get("results"))]
    offline = sum(bool(row.get("err")) for row in rows)
    hung = sum(bool(row.get("waitingDrives")) for row in rows)
    return f"{max(len(rows), 1) - offline} online, {offline} offline, {hung} hung"


def _record(desk: Desk, result: dict[str, object], asked: float, waited: float, state: int) -> dict[str, object]:
    return {"status": "success", "serverURL": desk.name, "result": result, "restartDuration": int(asked * 1e9),
            "waitingDuration": int(waited * 1e9), "timeTaken": int((asked + waited) * 1e9), "state": state}  # fmt: skip


def _watch(url: str) -> socket.socket:
    """Return an idle connection: its end tells that the old process is gone. An unconnected one when there is none."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        return socket.create_connection((parts.hostname or "", port), timeout=POLL_SECONDS * 10)
    except OSError:
        return socket.socket()


def _until_gone(watch: socket.socket, seconds: float) -> bool:
    """Wait until the server has closed a connection; False when it does not seem to (behind a proxy)."""
    try:
        watch.getpeername()
        if not select.select([watch], [], [], seconds)[0]:
            return False
        watch.recv(1)
    except OSError:
        pass  # reset, or there was no connection
    return True


def _until_ready(desk: Desk) -> None:
    """Poll until the server is ready again and stays; raise Fatal after two minutes.

    A ready worker of the old server may still answer when another is gone already: it closes its connections soon.
    """
    limit = time.monotonic() + RESTART_SECONDS
    while time.monotonic() < limit:
        with closing(_watch(desk.alias.url)) as watch:
            if _ready(desk) and not _until_gone(watch, STAYS_SECONDS) and _ready(desk):
                return
        time.sleep(POLL_SECONDS)
    raise Fatal(f"`{desk.name}` is not ready again after {RESTART_SECONDS:.0f} seconds.")


def _ready(desk: Desk) -> bool:
    try:
        with desk.admin.health("cluster") as answer:
            answer.read()
            return answer.status == 200
    except Unreachable:
        return False  # it is down: that is what is waited for
