"""`kes status` (kes.md 10.2)."""

import json
from typing import TYPE_CHECKING, Any

from strongroom.cli.kes.connect import run, terminal
from strongroom.cli.kes.flags import COLOR, INSECURE, JSON, Command, Flag, Parsed
from strongroom.errors import Denied, Error

if TYPE_CHECKING:
    from strongroom.sdk.kes import KesClient


def status(parsed: Parsed) -> int:
    """Print the status of every endpoint; exit code 1 when one does not answer."""
    parsed.at_most(0)

    async def work(kes: "KesClient") -> int:
        code = 0
        for endpoint in kes.endpoints:
            try:
                await _one(kes, endpoint, parsed)
            except Denied:
                raise
            except Error:
                if len(kes.endpoints) == 1:
                    raise
                print(f"○ {endpoint.removeprefix('https://')}")
                code = 1
        return code

    return run(work, insecure=parsed.on("insecure"))


async def _one(kes: "KesClient", endpoint: str, parsed: Parsed) -> None:
    found = await kes.status(endpoint)
    if parsed.on("json"):
        indent = 2 if terminal() and not parsed.on("short") else None
        print(_html_safe(json.dumps(found.raw, indent=indent, separators=None if indent else (",", ":"))))
        return
    print(f"● {endpoint.removeprefix('https://')}")
    if parsed.on("short"):
        return
    print(_details(found.raw, found.uptime_seconds, found.latency_seconds))
    if parsed.on("api"):
        print("\n  Method  API                          Timeout")
        for route in await kes.apis():
            print(f"  {route.method:<7} {route.path:<28} {f'{route.timeout}s' if route.timeout else 'Inf'}")


def _details(raw: "dict[str, Any] | Any", uptime: float, latency: float) -> str:
    lines = [
        f"  Version  {raw.get('version', '')}",
        f"  Uptime   {spoken(uptime)}",
        f"  Latency  {latency * 1000:.0f}ms",
        f"  OS       {raw.get('os', '')}",
        f"  CPUs     {raw.get('num_cpu_used', '')} of {raw.get('num_cpu', '')}",
        f"  Memory  {size(raw.get('mem_heap_used', 0) + raw.get('mem_stack_used', 0))}",
        f"  · Heap   {size(raw.get('mem_heap_used', 0))}",
        f"  · Stack  {size(raw.get('mem_stack_used', 0))}",
    ]
    if raw.get("keystore_unreachable") or raw.get("keystore_unavailable"):
        until = f", cached keys until {raw['offline_until']}" if "offline_until" in raw else ""
        lines.append(f"  Keys     the key store is away{until}")
    return "\n".join(lines)


def _html_safe(text: str) -> str:
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def spoken(seconds: float) -> str:
    """Return a duration in one unit, as in `3 days`."""
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= length * 2:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} seconds"


def size(count: float) -> str:
    """Return bytes in a binary unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.1f} {unit}" if unit != "B" else f"{int(count)} B"
        count /= 1024
    raise AssertionError("unreachable")


STATUS = Command(
    "",
    "Print the server's status.",
    (
        INSECURE,
        JSON,
        COLOR,
        Flag("short", "s", switch=True, help="One line a server"),
        Flag("api", switch=True, help="Print the routes as well"),
    ),
    status,
)
