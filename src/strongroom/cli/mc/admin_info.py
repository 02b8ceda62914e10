"""mc admin info (mc.md 10.2)."""

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.failures import Fatal, cause_of
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import size, table
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error

EMPTY: dict[str, object] = {
    "buckets": {"count": 0}, "objects": {"count": 0}, "versions": {"count": 0}, "deletemarkers": {"count": 0},
    "usage": {"size": 0}, "services": {"kms": {}, "ldap": {}},
    "backend": {"backendType": "", "onlineDisks": 0, "offlineDisks": 0, "standardSCParity": 0, "rrSCParity": 0,
                "totalSets": None, "totalDrivesPerSet": None},
}  # fmt: skip


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
        shell.console.line("\n".join(_cluster(found)))


def plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _uptime(seconds: int) -> str:
    for unit, length in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            return plural(seconds // length, unit)
    return plural(seconds, "second")


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


def _cluster(found: dict[str, object]) -> list[str]:
    backend = mapping(found.get("backend"))
    rows = [("Pool", "Drives Usage", "Erasure stripe size", "Erasure sets")]
    rows += [_pool(found, number, backend) for number in range(len(rows_of(backend.get("totalSets"))))]
    counts = {name: _int(mapping(found.get(name)).get("count")) for name in
              ("buckets", "objects", "versions", "deletemarkers")}  # fmt: skip
    used = size(_int(mapping(found.get("usage")).get("size")))
    parts = [f"{used} Used", plural(counts["buckets"], "Bucket"), plural(counts["objects"], "Object")]
    parts += [plural(counts["versions"], "Version")] if counts["versions"] else []
    parts += [plural(counts["deletemarkers"], "Delete Marker")] if counts["deletemarkers"] else []
    online, offline = _int(backend.get("onlineDisks")), _int(backend.get("offlineDisks"))
    last = f"{plural(online, 'drive')} online, {plural(offline, 'drive')} offline"
    if "standardSCParity" in backend:
        last += f", EC:{_int(backend.get('standardSCParity'))}"
    lines = [table(rows), ""] if len(rows) > 1 else []
    return [*lines, ", ".join(parts), last]


def rows_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _pool(found: dict[str, object], number: int, backend: dict[str, object]) -> tuple[str, str, str, str]:
    total = used = 0
    for server in rows_of(found.get("servers")):
        for drive in rows_of(mapping(server).get("drives")):
            member = mapping(drive)
            if _int(member.get("pool_index")) == number:
                total, used = total + _int(member.get("totalspace")), used + _int(member.get("usedspace"))
    usage = used * 100 / total if total else 0.0
    stripes, sets = rows_of(backend.get("totalDrivesPerSet")), rows_of(backend.get("totalSets"))
    usage_text = f"{usage:.1f}% (total: {size(total)})"
    return _ordinal(number + 1), usage_text, str(stripes[number] if number < len(stripes) else ""), str(sets[number])
