"""mc ping and mc ready: is a server there (mc.md 10.8)."""

import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from strongroom.cli.mc.failures import INVALID, Cause, Fatal, cause_of
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import table
from strongroom.cli.mc.shell import Shell
from strongroom.net.dialling import Unreachable
from strongroom.sdk.s3_admin import HEALTH, Admin
from strongroom.sdk.s3_call import Lost

READY_SECONDS = 5.0


def _number(line: Line, name: str, default: int) -> int:
    text = line.text(name)
    if text and not text.isdecimal():
        raise Fatal(f"Invalid --{name} value `{text}`.", INVALID)
    return int(text) if text else default


@dataclass(slots=True)
class _Times:
    """What was measured, in seconds."""

    least: float = 0.0
    most: float = 0.0
    total: float = 0.0
    count: int = 0
    errors: int = 0
    error: str = ""

    def add(self, seconds: float) -> None:
        self.least = min(self.least, seconds) if self.count else seconds
        self.most, self.total, self.count = max(self.most, seconds), self.total + seconds, self.count + 1

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0


def _endpoint(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    return {"Scheme": parts.scheme, "Opaque": "", "User": None, "Host": parts.netloc, "Path": "", "Fragment": "",
            "RawQuery": "", "RawPath": "", "RawFragment": "", "ForceQuery": False, "OmitHost": False}  # fmt: skip


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f}ms"


def _lost(url: str, path: str, error: Unreachable) -> Cause:
    return cause_of(Lost("Get", f"{url}{HEALTH}/{path}", error))


def ping(shell: Shell, line: Line) -> None:
    """mc ping ALIAS."""
    alias = shell.admin_alias(line.args[0])
    admin, times = Admin(shell.client(alias)), _Times()
    rounds, allowed = _number(line, "count", 0), _number(line, "error-count", 0)
    pause = _number(line, "interval", 1)
    number = 0
    try:
        while not rounds or number < rounds:
            if number:
                time.sleep(pause)
            number += 1
            alive = _round(shell, admin, alias.url, number, times)
            if (alive and line.on("exit")) or (allowed and times.errors >= allowed):
                break
    except KeyboardInterrupt:
        _summary(shell, alias.url, times)
        raise
    _summary(shell, alias.url, times)


def _round(shell: Shell, admin: Admin, url: str, number: int, times: _Times) -> bool:
    started = time.perf_counter()
    problem = ""
    try:
        with admin.health("live") as answer:
            answer.read()
            offline = answer.headers.get("x-minio-server-status", "").lower() == "offline"
            if answer.status != 200 or offline:
                problem = f"status {answer.status}" if answer.status != 200 else "the server is initialising"
    except Unreachable as error:
        problem = _lost(url, "live", error).text
    seconds = time.perf_counter() - started
    if problem:
        times.errors, times.error = times.errors + 1, problem
    else:
        times.add(seconds)
    status = "failed " if problem else "ok "
    server = {"endpoint": _endpoint(url), "dns": "0s", "status": status, **({"error": problem} if problem else {}),
              "time": f"{_milliseconds(seconds)}  "}  # fmt: skip
    shown = shell.console.paint(status, "bad" if problem else "ok")
    shell.console.say({"status": "success", "counter": f"{number:>3}", "servers": [server]},
                      f"{number:>3}: {url}   status={shown} time={_milliseconds(seconds)}  ")  # fmt: skip
    shell.console.flush()
    return not problem


def _summary(shell: Shell, url: str, times: _Times) -> None:
    host = urlsplit(url).netloc
    values = {"min": int(times.least * 1e9), "max": int(times.most * 1e9), "sum": int(times.total * 1e9),
              "avg": int(times.mean * 1e9)}  # fmt: skip
    record = {"status": "success", "serverMap": {host: {
        "endpoint": _endpoint(url), **values, "dns": 0, "errorCount": times.errors, "err": times.error,
        "counter": times.count}}}  # fmt: skip
    cells = [f"{_milliseconds(value):<8}" for value in (times.least, times.mean, times.most)]
    rows = [("Endpoint", "Min", "Avg", "Max", "Error", "Count"),
            (url, *cells, str(times.errors), str(times.count))]  # fmt: skip
    shell.console.say(record, table(rows))


def ready(shell: Shell, line: Line) -> None:
    """mc ready ALIAS: wait until it is."""
    alias = shell.admin_alias(line.args[0])
    admin, name = Admin(shell.client(alias)), alias.name
    maintenance = line.on("maintenance")
    path = "cluster/read" if line.on("cluster-read") else "cluster"
    query = "maintenance=true" if maintenance else ""
    while True:
        record: dict[str, object] = {"status": "success", "alias": name, "healthy": False,
                                     "maintenanceMode": maintenance, "writeQuorum": 0, "healingDrives": 0,
                                     "error": None}  # fmt: skip
        try:
            with admin.health(path, query) as answer:
                answer.read()
                healthy = answer.status == 200
                record["healthy"] = healthy
                record["writeQuorum"] = int(answer.headers.get("x-minio-write-quorum", "0") or 0)
                record["healingDrives"] = int(answer.headers.get("x-minio-healing-drives", "0") or 0)
            text = f"The cluster '{name}' is {'ready' if healthy else 'not ready'}"
        except Unreachable as error:
            cause = _lost(alias.url, path + ("?" + query if query else ""), error)
            healthy, text = False, f"The cluster '{name}' is unreachable: {cause.text}"
            record["error"] = cause.record
        shell.console.say(record, text, "ok" if healthy else "bad")
        shell.console.flush()
        if healthy:
            return
        time.sleep(READY_SECONDS)
