"""What the server counts, and the metric families made of it (kes.md 9; docs/reference/kes.md)."""

import os
import resource
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from strongroom.observe.metrics import Family, Histogram, Sample

_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 3, 5, 10)  # seconds
_GROUPS = (("success", 200, 300, "2xx"), ("error", 400, 500, "4xx"), ("failure", 500, 600, "5xx"))


@dataclass(slots=True)
class Counters:
    """Plain numbers; the hot path adds to them directly."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)  # (route, status), all of them
    counted: Counter[int] = field(default_factory=Counter)  # status, those that an original counts
    active: int = 0
    times: Histogram = field(default_factory=lambda: Histogram(_BUCKETS))
    error_events: int = 0
    audit_events: int = 0
    denied: Counter[str] = field(default_factory=Counter)  # reason
    store_failures: Counter[str] = field(default_factory=Counter)  # kind


def original(counters: Counters, started: float) -> list[Family]:
    """Return exactly the families of an original KES; started is monotonic seconds."""
    families = [
        Family(f"kes_http_request_{kind}", "counter", f"Requests that were answered with {words}.", samples)
        for kind, low, high, words in _GROUPS
        if (samples := _by_code(counters, low, high))
    ]
    heap, objects, stack = memory()
    gauges = {
        "kes_http_request_active": (counters.active, "Requests that are being worked on."),
        "kes_system_up_time": (round(time.monotonic() - started, 2), "Seconds since the start."),
        "kes_system_num_cpu": (os.cpu_count() or 1, "Logical CPUs."),
        "kes_system_num_cpu_used": (len(os.sched_getaffinity(0)), "CPUs that the process may use."),
        "kes_system_num_threads": (threading.active_count(), "Threads."),
        "kes_system_mem_heap_used": (heap, "Bytes in use."),
        "kes_system_mem_heap_objects": (objects, "Objects that the collector knows."),
        "kes_system_mem_stack_used": (stack, "Bytes of stack."),
    }
    families += [Family(name, "gauge", words, [Sample(value)]) for name, (value, words) in gauges.items()]
    families.append(
        Family("kes_http_response_time", "histogram", "Seconds from request to answer.", counters.times.samples())
    )
    for kind, value in (("error", counters.error_events), ("audit", counters.audit_events)):
        words = f"Events of the {kind} log that were sent to subscribers."
        families.append(Family(f"kes_log_{kind}_events", "counter", words, [Sample(value)]))
    return families


def _by_code(counters: Counters, low: int, high: int) -> list[Sample]:
    return [
        Sample(count, {"code": str(code)}) for code, count in sorted(counters.counted.items()) if low <= code < high
    ]


def memory() -> tuple[int, int, int]:
    """Return bytes of data, objects and bytes of stack of this process."""
    import gc

    data = stack = 0
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file if line.endswith(" kB\n")}
        data, stack = sizes.get("VmRSS", 0), sizes.get("VmStk", 0)
    except (OSError, ValueError):
        data = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(data, 1), gc.get_count()[0] + sum(gc.get_count()), max(stack, 1)
