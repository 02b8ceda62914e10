"""`kes metric`: the server's metrics, again and again (kes.md 10.2)."""

import asyncio
import json
import re
import sys
from typing import TYPE_CHECKING

from strongroom.cli.kes.connect import run
from strongroom.cli.kes.flags import INSECURE, JSON, Command, Flag, Parsed
from strongroom.cli.kes.status import size, spoken

if TYPE_CHECKING:
    from rich.table import Table

    from strongroom.sdk.kes import KesClient

_LINE = re.compile(r"^([a-z_]+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
_SINGLE = (
    "kes_http_request_active",
    "kes_log_audit_events",
    "kes_log_error_events",
)
_SYSTEM = tuple(
    f"kes_system_{name}"
    for name in (
        "up_time",
        "num_cpu",
        "num_cpu_used",
        "num_threads",
        "mem_heap_used",
        "mem_heap_objects",
        "mem_stack_used",
    )
)
_OURS = "strongroom_kes_"
_REQUESTS = ("kes_http_request_success", "kes_http_request_error", "kes_http_request_failure")


def metric(parsed: Parsed) -> int:
    """Print one JSON document per interval, or on a terminal a table that renews itself."""
    from strongroom.config.yaml import duration

    parsed.at_most(0)
    seconds = duration(parsed["rate"])
    if seconds is None or seconds <= 0:
        raise parsed.usage(f'invalid argument "{parsed["rate"]}" for "--rate" flag: time: invalid duration')
    work = _live if sys.stdout.isatty() and not parsed.on("json") else _lines
    return run(lambda kes: work(kes, seconds), insecure=parsed.on("insecure"))


async def _lines(kes: "KesClient", seconds: float) -> int:
    while True:
        print(json.dumps(document(await kes.metrics()), separators=(",", ":")), flush=True)
        await asyncio.sleep(seconds)


async def _live(kes: "KesClient", seconds: float) -> int:
    from rich.live import Live

    before: dict[str, object] = {}
    with Live(auto_refresh=False) as live:
        while True:
            text = await kes.metrics(ours=True)
            now = document(text) | _ours(text)
            live.update(_table(now, before, seconds), refresh=True)
            before = now
            await asyncio.sleep(seconds)


def _ours(text: str) -> dict[str, object]:
    """Return the numbers that an original does not have; {} from one."""
    sums: dict[str, float] = {}
    for name, _, value in _LINE.findall(text):
        if name.startswith(_OURS):
            sums[name] = sums.get(name, 0.0) + float(value)
    return dict(sums)


def document(text: str) -> dict[str, object]:
    """Return the metrics as the original's command prints them: requests summed, buckets in nanoseconds."""
    sums: dict[str, float] = {}
    buckets: dict[str, float] = {}
    for name, labels, value in _LINE.findall(text):
        if name == "kes_http_response_time_bucket":
            bound = labels.removeprefix('le="').removesuffix('"')
            if bound != "+Inf":
                buckets[str(round(float(bound) * 1e9))] = _whole(float(value))
        else:
            sums[name] = sums.get(name, 0.0) + float(value)
    values: dict[str, object] = {name: _whole(sums.get(name, 0)) for name in (*_REQUESTS, *_SINGLE)}
    values["kes_http_response_time"] = dict(sorted(buckets.items()))
    return values | {name: _whole(sums.get(name, 0)) for name in _SYSTEM}


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def _table(now: dict[str, object], before: dict[str, object], seconds: float) -> "Table":
    from rich.table import Table

    def value(name: str, of: dict[str, object] = now) -> float:
        return float(str(of.get(name, 0)))

    def counted(label: str, name: str) -> None:
        rate = (value(name) - (value(name, before) if name in before else value(name))) / seconds
        table.add_row(label, f"{value(name):.0f}", f"{rate:.1f}")

    table = Table("Metric", "Value", "Per second")
    for name in _REQUESTS:
        counted(f"Requests: {name.removeprefix('kes_http_request_')}", name)
    table.add_row("Requests: active", f"{value('kes_http_request_active'):.0f}", "")
    table.add_row("Uptime", spoken(value("kes_system_up_time")), "")
    table.add_row("Memory", size(value("kes_system_mem_heap_used")), "")
    if _OURS + "cache_keys" in now:
        counted("Requests: denied", _OURS + "denied")
        counted("Audit lines", _OURS + "audit_lines")
        counted("Cache hits", _OURS + "cache_hits")
        counted("Cache misses", _OURS + "cache_misses")
        table.add_row("Cached keys", f"{value(_OURS + 'cache_keys'):.0f}", "")
        away = value(_OURS + "store_offline")
        table.add_row("Key store", "away" if away else f"{value(_OURS + 'store_latency_seconds') * 1000:.1f} ms", "")
        table.add_row("Key states known", f"{value(_OURS + 'lock_age_seconds'):.1f} s ago", "")
    return table


METRIC = Command(
    "", "Watch the server's metrics.", (INSECURE, JSON, Flag("rate", default="5s", help="How often to ask")), metric
)
