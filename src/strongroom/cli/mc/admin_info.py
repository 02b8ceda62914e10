"""mc admin info and mc admin service (mc.md 10.2, 10.3)."""

import json
import time

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.failures import Fatal, cause_of
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import go_duration, size, table
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.net.dialling import Unreachable

EMPTY: dict[str, object] = {
    "buckets": {"count": 0}, "objects": {"count": 0}, "versions": {"count": 0}, "deletemarkers": {"count": 0},
    "usage": {"size": 0}, "services": {"kms": {}, "ldap": {}},
    "backend": {"backendType": "", "onlineDisks": 0, "offlineDisks": 0, "standardSCParity": 0, "rrSCParity": 0,
                "totalSets": None, "totalDrivesPerSet": None},
}  # fmt: skip
POLL_SECONDS = 0.5
RESTART_SECONDS = 120.0


def info(shell: Shell, line: Line) -> None:
    """mc admin info ALIAS."""
    desk = Desk(shell, line, "Unable to get service info")
    try:
        found = mapping(desk.admin.get_json("info", {"metrics": "false"}))
    except Error as error:
        if shell.console.json:
            shell.console.failed = True
            shell.console.say({"status": "error", "error": cause_of(error).text, "info": EMPTY})
            return
        raise Fatal("Unable to get service info", error) from error
    if shell.console.json:
        shell.console.say({"status": "success", "info": found})
        return
    servers = found.get("servers")
    for server in servers if isinstance(servers, list) else []:
        if not (line.on("offline") and server.get("state") == "online"):
            shell.console.line("\n".join(_server(shell, mapping(server))) + "\n")
    if not line.on("offline"):
        shell.console.line("\n".join(_cluster(shell, found)))


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _uptime(seconds: int) -> str:
    for unit, length in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return _plural(seconds // length, unit)
    return _plural(seconds, "second")


def _share(values: list[str], good: str) -> str:
    count = sum(value == good for value in values)
    return f"{count}/{len(values)} {'OK' if count == len(values) else 'Degraded'} "


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _server(shell: Shell, server: dict[str, object]) -> list[str]:
    state = str(server.get("state", ""))
    dot = shell.console.paint("●", "good" if state == "online" else "bad")
    lines = [f"{dot}  {shell.console.paint(str(server.get('endpoint', '')), 'name')}"]
    if state != "online":
        return [*lines, f"   Uptime: {state} "]
    network = [str(value) for value in mapping(server.get("network")).values()]
    drives = server.get("drives")
    states = [str(drive.get("state")) for drive in drives] if isinstance(drives, list) else []
    lines += [f"   Uptime: {_uptime(_int(server.get('uptime')))} ", f"   Version: {_version(server)}",
              f"   Network: {_share(network, 'online')}", f"   Drives: {_share(states, 'ok')}",
              f"   Pool: {_int(server.get('poolNumber')) or 1}"]  # fmt: skip
    return lines


def _version(server: dict[str, object]) -> str:
    text = str(server.get("version", ""))
    return "<development>" if text.startswith("DEVELOPMENT") else text


def _ordinal(number: int) -> str:
    suffix = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _cluster(shell: Shell, found: dict[str, object]) -> list[str]:
    backend = mapping(found.get("backend"))
    rows = [("Pool", "Drives Usage", "Erasure stripe size", "Erasure sets")]
    rows += [_pool(found, number, backend) for number in range(len(_list(backend.get("totalSets"))))]
    counts = {name: _int(mapping(found.get(name)).get("count")) for name in
              ("buckets", "objects", "versions", "deletemarkers")}  # fmt: skip
    used = size(_int(mapping(found.get("usage")).get("size")))
    parts = [f"{used} Used", _plural(counts["buckets"], "Bucket"), _plural(counts["objects"], "Object")]
    parts += [_plural(counts["versions"], "Version")] if counts["versions"] else []
    parts += [_plural(counts["deletemarkers"], "Delete Marker")] if counts["deletemarkers"] else []
    online, offline = _int(backend.get("onlineDisks")), _int(backend.get("offlineDisks"))
    last = f"{_plural(online, 'drive')} online, {_plural(offline, 'drive')} offline"
    if "standardSCParity" in backend:
        last += f", EC:{_int(backend.get('standardSCParity'))}"
    lines = [table(rows), ""] if len(rows) > 1 else []
    return [*lines, ", ".join(parts), last]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _pool(found: dict[str, object], number: int, backend: dict[str, object]) -> tuple[str, str, str, str]:
    total = used = 0
    for server in _list(found.get("servers")):
        for drive in _list(mapping(server).get("drives")):
            member = mapping(drive)
            if _int(member.get("pool_index")) == number:
                total, used = total + _int(member.get("totalspace")), used + _int(member.get("usedspace"))
    usage = used * 100 / total if total else 0.0
    stripes, sets = _list(backend.get("totalDrivesPerSet")), _list(backend.get("totalSets"))
    usage_text = f"{usage:.1f}% (total: {size(total)})"
    return _ordinal(number + 1), usage_text, str(stripes[number] if number < len(stripes) else ""), str(sets[number])


# ---- service ----


def stop(shell: Shell, line: Line) -> None:
    """mc admin service stop ALIAS."""
    desk = Desk(shell, line, "Unable to stop the server.")
    desk.call("POST", "service", {"action": "stop", "dry-run": "false", "type": "2"}, b"")
    shell.console.say({"status": "success", "serverURL": desk.name}, f"Stopped `{desk.name}` successfully.", "ok")


def restart(shell: Shell, line: Line) -> None:
    """mc admin service restart ALIAS: plain lines, so that it works without a terminal (mc.md 10.3)."""
    desk = Desk(shell, line, "Unable to restart the server.")
    dry, wait = line.on("dry-run"), line.on("wait")
    started = time.monotonic()
    result = _ask(desk, dry)
    asked = time.monotonic() - started
    if wait and not dry:
        if shell.console.json:
            shell.console.say(_record(desk, result, asked, 0.0, 0))
        else:
            shell.console.note(f"Restart command successfully sent to `{desk.name}`. Type Ctrl-C to quit or wait to "
                               "follow the status of the restart process.")  # fmt: skip
        _until_ready(desk)
    whole = time.monotonic() - started
    if shell.console.json:
        shell.console.say(_record(desk, result, asked, whole - asked if wait else 0.0, 2))
        return
    rows = [("Servers:", _servers(result)), ("Restart Time:", go_duration(asked))]
    if wait and not dry:
        rows.append(("Background Init Time:", go_duration(whole - asked)))
    shell.console.line(
        f"Service status: {shell.console.paint('[DONE]', 'good')}\nSummary:\n{table(rows, indent='    ')}"
    )
    if not dry and not shell.console.terminal:
        shell.console.line(f"Restarted `{desk.name}` successfully in {_plural(max(round(whole), 1), 'second')}")


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
    rows = [mapping(each) for each in _list(result.get("results"))]
    offline = sum(bool(row.get("err")) for row in rows)
    hung = sum(bool(row.get("waitingDrives")) for row in rows)
    return f"{max(len(rows), 1) - offline} online, {offline} offline, {hung} hung"


def _record(desk: Desk, result: dict[str, object], asked: float, waited: float, state: int) -> dict[str, object]:
    return {"status": "success", "serverURL": desk.name, "result": result, "restartDuration": int(asked * 1e9),
            "waitingDuration": int(waited * 1e9), "timeTaken": int((asked + waited) * 1e9), "state": state}  # fmt: skip


def _until_ready(desk: Desk) -> None:
    """Poll until the server is ready again; raise Fatal after two minutes."""
    limit = time.monotonic() + RESTART_SECONDS
    time.sleep(POLL_SECONDS)
    while time.monotonic() < limit:
        try:
            with desk.admin.health("cluster") as answer:
                answer.read()
                if answer.status == 200:
                    return
        except Unreachable:
            pass  # it is down: that is what is waited for
        time.sleep(POLL_SECONDS)
    raise Fatal(f"`{desk.name}` is not ready again after {RESTART_SECONDS:.0f} seconds.")
