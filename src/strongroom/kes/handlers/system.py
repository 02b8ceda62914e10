"""The routes about the server itself, and its log streams (kes.md 1.6, 8)."""

import asyncio
import os
import platform
import time
from collections.abc import AsyncIterator, Callable

import msgspec

from strongroom.errors import Unavailable
from strongroom.kes.domain.errors import StoreUnreachable
from strongroom.kes.domain.lifecycle import iso
from strongroom.kes.handlers import counters
from strongroom.kes.handlers.call import EMPTY, JSON, NDJSON, Call
from strongroom.kes.wire import headers
from strongroom.kes.wire.errors import html_safe
from strongroom.messages import Response, Stream
from strongroom.observe import metrics_proto
from strongroom.observe.metrics import CONTENT_TYPE, Family, Sample, exposition

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}  # in Go's words
_STREAM_QUEUE = 4096  # lines that a subscriber may lag behind


def version(call: Call) -> Response:
    """`GET /version`."""
    document = {"version": call.server.version, "commit": call.server.version}
    return Response(200, JSON, html_safe(msgspec.json.encode(document)) + b"\n")


async def ready(call: Call) -> Response:
    """`GET /v1/ready`: 504 when the store cannot be reached, 502 when it answers with an error."""
    watch = call.state.watch
    if watch.offline is not None:
        raise StoreUnreachable(str(watch.offline))
    await watch.keyring.store.status()
    return EMPTY


def offline_header(call: Call) -> tuple[tuple[str, str], ...]:
    """Say until when cached keys are served, while the store is away."""
    until = call.state.watch.serves_offline_until()
    return ((headers.OFFLINE_UNTIL, iso(until)),) if until is not None else ()


async def status(call: Call) -> Response:
    """`GET /v1/status`; both flags go out when the store is away, as the SDK demands (kes.md 1.6)."""
    watch = call.state.watch
    heap, _, stack = counters.memory()
    document: dict[str, object] = {
        "version": call.server.version,
        "os": platform.system().lower(),
        "arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "uptime": int(time.monotonic() - call.server.started),
        "num_cpu": os.cpu_count() or 1,
        "num_cpu_used": len(os.sched_getaffinity(0)),
        "mem_heap_used": heap,
        "mem_stack_used": stack,
    }
    try:
        if watch.offline is not None:
            raise watch.offline
        document["keystore_latency"] = max(1, round(await watch.keyring.store.status() * 1000))
    except Unavailable:
        document |= {"keystore_unreachable": True, "keystore_unavailable": True}
    until = watch.serves_offline_until()
    if until is not None:
        document["offline_until"] = iso(until)
    return Response(200, JSON, html_safe(msgspec.json.encode(document)) + b"\n")


def metrics(call: Call) -> Response:
    """`GET /v1/metrics`: the original's families, with `?ours` ours as well (an SDK fails on labelled ones)."""
    families = counters.original(call.server.counters, call.server.started)
    if call.request.query.split("&")[0] == "ours":
        families += _ours(call)
    if metrics_proto.wanted(call.request.headers.get("accept", "")):
        return Response(200, (("Content-Type", metrics_proto.CONTENT_TYPE),), metrics_proto.exposition(families))
    return Response(200, (("Content-Type", CONTENT_TYPE),), exposition(families))


def _ours(call: Call) -> list[Family]:
    state, server, count = call.state, call.server, call.server.counters
    answers = [
        Sample(number, {"route": route, "code": str(code)}) for (route, code), number in sorted(count.answers.items())
    ]
    states: dict[str, int] = {}
    unconfirmed = 0
    for entry in state.keyring.entries.values():
        unconfirmed += bool(entry.doubted)
        states[entry.key.state] = states.get(entry.key.state, 0) + 1
    age = time.monotonic() - state.watch.read_at
    single = {
        "cache_keys": ("gauge", len(state.keyring.entries), "Keys in the cache."),
        "cache_unconfirmed": ("gauge", unconfirmed, "Cached keys whose state the key store could not confirm."),
        "cache_hits": ("counter", state.keyring.hits, "Key uses that the cache served."),
        "cache_misses": ("counter", state.keyring.misses, "Keys fetched from the store."),
        "store_offline": ("gauge", int(state.watch.offline is not None), "1 while the key store counts as away."),
        "store_latency_seconds": ("gauge", state.watch.latency, "Of the last probe."),
        "store_watch_failures": ("counter", state.watch.failures, "Failed looks at the store's generation."),
        "offline_until_seconds": (
            "gauge",
            state.watch.serves_offline_until() or 0,
            "Until when cached keys are served while the store is away (seconds since 1970).",
        ),
        "lock_age_seconds": ("gauge", age, "Since key states were last known to be current."),
        "lock_within_seconds": ("gauge", state.settings.lock.within, "Within which a lock reaches this server."),
        "audit_lines": ("counter", server.audit.lines, "Audit lines written."),
        "audit_lost": ("counter", server.audit.lost, "Audit lines that could not be written."),
    }
    families = [
        Family(f"strongroom_kes_{name}", kind, words, [Sample(value)]) for name, (kind, value, words) in single.items()
    ]
    labelled = (
        ("requests", "Answers by route.", answers),
        ("denied", "Refusals by reason.", [Sample(n, {"reason": one}) for one, n in sorted(count.denied.items())]),
        ("key_states", "Cached keys by state.", [Sample(n, {"state": one}) for one, n in sorted(states.items())]),
        (
            "store_failures",
            "Failures of the key store.",
            [Sample(n, {"kind": one}) for one, n in sorted(count.store_failures.items())],
        ),
        ("log_lines", "Log lines by level.", [Sample(n, {"level": one}) for one, n in server.log.counts.items()]),
    )
    return families + [Family(f"strongroom_kes_{name}", "counter", words, list(some)) for name, words, some in labelled]


async def audit_stream(call: Call) -> Response:
    """`GET /v1/log/audit`: the audit lines from now on."""
    return Response(200, NDJSON, Stream(_stream(call, _audit_lines(call))))


async def error_stream(call: Call) -> Response:
    """`GET /v1/log/error`: `{"message": <log line>}` from now on."""
    return Response(200, NDJSON, Stream(_stream(call, _error_lines(call))))


_Subscribe = Callable[[Callable[[bytes], None]], Callable[[], None]]


def _audit_lines(call: Call) -> _Subscribe:
    def take(give: Callable[[bytes], None]) -> Callable[[], None]:
        def one(line: bytes) -> None:
            call.server.counters.audit_events += 1
            give(line)

        return call.server.audit.subscribe(one)

    return take


def _error_lines(call: Call) -> _Subscribe:
    def take(give: Callable[[bytes], None]) -> Callable[[], None]:
        def one(line: str) -> None:
            call.server.counters.error_events += 1
            give(msgspec.json.encode({"message": line}) + b"\n")

        return call.server.log.subscribe(one)

    return take


async def _stream(call: Call, subscribe: _Subscribe) -> AsyncIterator[bytes]:
    """Yield nothing at once, for the head's sake, then lines; who lags too far behind is cut off."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def give(line: bytes) -> None:
        if queue.qsize() <= _STREAM_QUEUE:  # the one behind the last line is the end, and nothing comes after it
            queue.put_nowait(line if queue.qsize() < _STREAM_QUEUE else None)

    unsubscribe = subscribe(give)
    stop = lambda: queue.put_nowait(None)  # noqa: E731
    call.server.stopping.append(stop)
    try:
        yield b""
        while (line := await queue.get()) is not None:
            yield line
    finally:
        call.server.stopping.remove(stop)
        unsubscribe()
