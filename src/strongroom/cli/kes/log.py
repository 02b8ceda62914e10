"""`kes log`: follows the audit or the error log (kes.md 10.2)."""

import json
import sys
from typing import TYPE_CHECKING, Any

from strongroom.cli.kes.connect import run
from strongroom.cli.kes.flags import INSECURE, JSON, Command, Failed, Flag, Parsed

if TYPE_CHECKING:
    from strongroom.sdk.kes import KesClient

_HEAD = f"{'Time':<12}{'Status':<10}{'Identity':<24}{'IP':<19}{'API':<34}Latency"


def log(parsed: Parsed) -> int:
    """Print events until the server or the user ends it."""
    parsed.at_most(0)
    if parsed.on("audit") and parsed.on("error"):
        raise Failed("cannot display audit and error logs at the same time")
    return _follow(parsed, "error" if parsed.on("error") else "audit")


def trace(parsed: Parsed) -> int:
    """The command of 2020: `kes log trace --type=audit|error`."""
    parsed.at_most(0)
    if parsed["type"] not in {"audit", "error"}:
        raise parsed.usage(f"unknown log type '{parsed['type']}'")
    return _follow(parsed, parsed["type"])


def _follow(parsed: Parsed, kind: str) -> int:
    as_json = parsed.on("json")

    async def work(kes: "KesClient") -> int:
        if not as_json and kind == "audit":
            print(_HEAD, flush=True)
        async for event in kes.log(kind):
            print(json.dumps(event, separators=(",", ":")) if as_json else _text(event, kind), flush=True)
        return 0

    try:
        return run(work, insecure=parsed.on("insecure"))
    except KeyboardInterrupt:
        if as_json:
            print("Error: context canceled", file=sys.stderr)
        return 0 if kind == "audit" and not as_json else 1


def _text(event: dict[str, Any], kind: str) -> str:
    if kind == "error":
        return str(event.get("message", ""))
    request, response = event.get("request", {}), event.get("response", {})
    if not request:
        return f"{str(event.get('time', ''))[11:19]:<12}{event.get('event', 'checkpoint')}"
    identity = request.get("identity", "")
    shown = identity[:20] + "…" if len(identity) > 20 else identity
    latency = response.get("time", 0) / 1e6
    time, path = str(event.get("time", ""))[11:19], request.get("path", "")
    code, address = response.get("code", ""), request.get("ip", "")
    return f"{time:<12}{code:<10}{shown:<24}{address:<19}{path:<34}{latency:.2f}ms"


LOG = Command(
    "",
    "Follow the audit log, or with --error the error log.",
    (
        INSECURE,
        JSON,
        Flag("audit", switch=True, help="Follow the audit log (the default)"),
        Flag("error", switch=True, help="Follow the error log"),
    ),
    log,
)
TRACE = Command("", "Follow a log; today `kes log`.", (INSECURE, JSON, Flag("type", default="audit")), trace)
