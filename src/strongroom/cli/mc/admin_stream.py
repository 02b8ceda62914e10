"""mc admin trace, logs and prometheus (mc.md 10.6)."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.console import dumps
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import go_duration, size
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.sdk.s3_call import expect

METRICS = {"cluster": "/minio/v2/metrics/cluster", "node": "/minio/v2/metrics/node",
           "bucket": "/minio/v2/metrics/bucket", "resource": "/minio/v2/metrics/resource"}  # fmt: skip
TOKEN_SECONDS = 100 * 365 * 24 * 3600


def _lines(desk: Desk, path: str, query: dict[str, str]) -> Iterator[dict[str, object]]:
    """Yield the documents of an endless stream; blanks between them keep it alive."""
    try:
        with desk.admin.open("GET", path, query) as answer:
            held = b""
            for piece in answer.pieces():
                *lines, held = (held + bytes(piece)).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield mapping(json.loads(line))
    except Error as error:
        raise Fatal(desk.failed, error) from error


def trace(shell: Shell, line: Line) -> None:
    """mc admin trace ALIAS."""
    desk = Desk(shell, line, "Unable to listen to http trace")
    calls = {each for text in line.many("call") for each in text.split(",")} or {"s3"}
    query = {"s3": _bool("s3" in calls or line.on("all")), "internal": _bool("internal" in calls or line.on("all")),
             "storage": "false", "os": "false", "err": _bool(line.on("errors")),
             "threshold": line.text("response-threshold", "0s")}  # fmt: skip
    for found in _lines(desk, "trace", query):
        call = _Call(found)
        if call.wanted(line):
            record = {"status": "success", **found}
            shell.console.say(record, call.long() if line.on("verbose") else call.short(shell))
            shell.console.flush()


def _bool(value: bool) -> str:
    return "true" if value else "false"


class _Call:
    """One entry of the trace, in either of the forms that servers write (flat, or with `http`)."""

    def __init__(self, found: dict[str, object]) -> None:
        self.found = found
        http = mapping(found.get("http"))
        self.request, self.answer = mapping(http.get("reqInfo") or found.get("reqInfo")), \
            mapping(http.get("respInfo") or found.get("respInfo"))  # fmt: skip
        self.stats = mapping(http.get("callStats") or found.get("callStats"))
        self.name = str(found.get("funcname", found.get("api", "")))
        self.path = str(self.request.get("path", found.get("path", "")))
        self.method = str(self.request.get("method", ""))
        status = self.answer.get("statuscode", self.answer.get("statusCode", 0))
        self.status = status if isinstance(status, int) else 0

    def wanted(self, line: Line) -> bool:
        """Tell whether the flags let it through."""
        tests = ((line.many("status-code"), str(self.status)), (line.many("method"), self.method),
                 (line.many("funcname"), self.name), (line.many("path"), self.path.lstrip("/")),
                 (line.many("node"), str(self.found.get("nodename", ""))))  # fmt: skip
        return all(not patterns or any(fnmatchcase(value, pattern.lstrip("/")) for pattern in patterns)
                   for patterns, value in tests)  # fmt: skip

    def short(self, shell: Shell) -> str:
        """Return one line."""
        query = str(self.request.get("rawquery", ""))
        when = str(self.found.get("time", ""))[:23]
        state = shell.console.paint(f"[{self.status}]", "good" if self.status < 400 else "bad")
        seconds = _seconds(self.found.get("dur") or self.stats.get("latency"))
        first = _seconds(self.stats.get("timeToFirstByte"))
        rx, tx = _int(self.stats.get("rx", self.stats.get("inputBytes"))), \
            _int(self.stats.get("tx", self.stats.get("outputBytes")))  # fmt: skip
        where = f"{self.found.get('nodename', '')}{self.path}{'?' + query if query else ''}"
        return (f"{when} {state} {self.name} {where} {self.request.get('client', '')} {go_duration(seconds):>10} "
                f"⇣ {go_duration(first)} ↑ {size(rx)} ↓ {size(tx)}")  # fmt: skip

    def long(self) -> str:
        """Return headers and all."""
        return dumps(self.found, 1)


def _seconds(value: object) -> float:
    return value / 1e9 if isinstance(value, int | float) else 0.0


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def logs(shell: Shell, line: Line) -> None:
    """mc admin logs ALIAS [NODE]."""
    desk = Desk(shell, line, "Unable to fetch logs")
    query = {"node": line.args[1] if len(line.args) > 1 else "", "limit": line.text("last", "10"),
             "logType": line.text("type", "all")}  # fmt: skip
    for found in _lines(desk, "log", query):
        text = found.get("ConsoleMsg") or found.get("message") or mapping(found.get("error")).get("message", "")
        shell.console.say({"status": "success", **found}, f"{found.get('node', '')} {text}".strip())
        shell.console.flush()


# ---- metrics ----


def _token(access: str, secret: str, now: float) -> str:
    """Return the bearer token for the metrics pages: a JWT under the secret key (HS512)."""

    def part(document: object) -> str:
        raw = json.dumps(document, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    text = f"{part({'alg': 'HS512', 'typ': 'JWT'})}." + part(
        {"exp": int(now) + TOKEN_SECONDS, "iss": "prometheus", "sub": access}
    )
    seal = base64.urlsafe_b64encode(hmac.digest(secret.encode(), text.encode(), "sha512")).decode().rstrip("=")
    return f"{text}.{seal}"


def _kind(line: Line) -> str:
    kind = line.args[1] if len(line.args) > 1 else "cluster"
    if kind not in METRICS:
        raise Fatal(f"Invalid metric type `{kind}`, use {', '.join(METRICS)}.")
    return kind


def prometheus(shell: Shell, line: Line) -> None:
    """mc admin prometheus generate ALIAS [TYPE]."""
    kind = _kind(line)
    desk = Desk(shell, line, "Unable to generate the configuration")
    where = urlsplit(desk.alias.url)
    token = "" if line.on("public") else _token(desk.alias.access_key, desk.alias.secret_key, time.time())
    job = {"job_name": f"minio-job-{kind}" if kind != "cluster" else "minio-job", "metrics_path": METRICS[kind],
           "scheme": where.scheme}  # fmt: skip
    lines = ["scrape_configs:", f"- job_name: {job['job_name']}"]
    lines += [f"  bearer_token: {token}"] if token else []
    lines += [f"  metrics_path: {job['metrics_path']}", f"  scheme: {job['scheme']}", "  static_configs:",
              f"  - targets: ['{where.netloc}']"]  # fmt: skip
    record = {"status": "success", "scrape_configs": [{**job, **({"bearer_token": token} if token else {}),
                                                       "static_configs": [{"targets": [where.netloc]}]}]}  # fmt: skip
    shell.console.say(record, "\n".join(lines))


def metrics(shell: Shell, line: Line) -> None:
    """mc admin prometheus metrics ALIAS [TYPE]."""
    kind = _kind(line)
    desk = Desk(shell, line, "Unable to list prometheus metrics")
    token = _token(desk.alias.access_key, desk.alias.secret_key, time.time())
    caller = desk.admin.client.caller
    pool, _ = caller.place("", "")
    try:
        answer = pool.request(
            "GET", METRICS[kind], [("Authorization", f"Bearer {token}"), ("User-Agent", caller.agent)]
        )
        text = expect(answer).decode("utf-8", "replace")
    except Error as error:
        raise Fatal(desk.failed, error) from error
    if answer.status != 200:
        raise Fatal(desk.failed, f"the server answered with status {answer.status}")
    shell.console.line(text.rstrip("\n"))
