"""What this machine reaches beside the one on which the goals were set (architecture.md 2): the scale of every figure.

    python benchmarks/machine.py

The goals come from a 2-core Zen 5. Libraries in C are compared by their throughput; the interpreter by aiohttp.web,
4 KiB answers to 16 connections, server and load on a core each.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MIB = 1 << 20
ZEN5 = 31_500  # answers of aiohttp.web a second of CPU there, by the same script (docs/decisions/net.md)


def best(work: Callable[[], object], count: int) -> float:
    """Return the least seconds that one call takes."""
    least = float("inf")
    for _ in range(7):
        began = time.perf_counter()
        for _ in range(count):
            work()
        least = min(least, (time.perf_counter() - began) / count)
    return least


def main() -> None:
    data, out = os.urandom(MIB), bytearray(65536 + 16)
    cipher, nonce = AESGCM(os.urandom(32)), os.urandom(12)
    package = data[:65536]
    rows = (
        ("MD5", MIB / best(lambda: hashlib.md5(data), 50) / 1e9, "GB/s", 0.75),
        ("SHA-256", MIB / best(lambda: hashlib.sha256(data), 50) / 1e9, "GB/s", 1.6),
        (
            "AES-256-GCM, 64 KiB",
            65536 / best(lambda: cipher.encrypt_into(nonce, package, None, out), 500) / 1e9,
            "GB/s",
            16.8,
        ),
    )
    for name, figure, unit, goals in rows:
        print(
            f"{name:<22} {figure:8.2f} {unit:<5} goals' machine {goals:8.2f}   ratio {figure / goals:.2f}", flush=True
        )
    script = Path(__file__).with_name("net.py")
    done = subprocess.run(
        [sys.executable, str(script), "--only", "aiohttp"], capture_output=True, text=True, check=True
    )
    rate = float(re.search(r"(\d+)/s per core", done.stdout)[1])
    print(f"{'aiohttp.web, one core':<22} {rate:8.0f} /s    goals' machine {ZEN5:8.0f}   ratio {rate / ZEN5:.2f}")


if __name__ == "__main__":
    main()
