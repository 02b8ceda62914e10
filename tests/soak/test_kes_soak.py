"""Mixed load for minutes with the key store taken away and given back at random. Run by `make soak`.

KES_SOAK_SECONDS says how long (600), KES_SOAK_PAUSE the seconds between a client's requests (0).
"""

import asyncio
import os
import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest
from test_kes_outage import World

from strongroom.errors import AlreadyExists, Unavailable
from strongroom.kes.domain.settings import CacheSettings, LockSettings

SECONDS = float(os.environ.get("KES_SOAK_SECONDS", "600"))
PAUSE = float(os.environ.get("KES_SOAK_PAUSE", "0"))
CACHED = [f"cached-{number}" for number in range(20)]


def resident_kb() -> int:
    """Return this process's resident memory: server and load together."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1])


@pytest.mark.timeout(SECONDS + 120)
async def test_mixed_load_over_a_flapping_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CacheSettings(any=2.0, unused=0.0, offline=3600)
    world = await World().start(tmp_path, monkeypatch, cache=cache, lock=LockSettings(within=0.5))
    made = {}
    for name in CACHED:
        await world.kes.create(name)
        made[name] = await world.kes.generate(name, name.encode())
    stop = time.monotonic() + SECONDS
    counts = Counter(served=0, created=0, refused=0)
    reasons: set[str] = set()
    created: list[str] = []

    async def flap() -> None:
        """An outage is a store that refuses, one that fails when it is read, or one that hangs."""
        while time.monotonic() < stop:
            await asyncio.sleep(random.uniform(0.3, 2))
            kind = random.choice(["away", "failing", "hanging"])
            counts[kind] += 1
            world.store.away, world.store.failing = kind == "away", kind == "failing"
            world.store.back = asyncio.Event() if kind == "hanging" else None
            await asyncio.sleep(random.uniform(0.1, 2))
            recover()

    def recover() -> None:
        world.store.away = world.store.failing = False
        if world.store.back is not None:
            world.store.back.set()

    async def use_cached() -> None:
        """Never an error: these keys have been in the cache, and offline mode is on."""
        while time.monotonic() < stop:
            name = random.choice(CACHED)
            start = time.monotonic()
            try:
                opened = await world.kes.decrypt(name, made[name].ciphertext, name.encode())
                assert opened.plaintext == made[name].plaintext
                counts["served"] += 1
            except Unavailable as error:
                counts["refused"] += 1
                reasons.add(str(error))
            counts["slowest_ms"] = max(counts["slowest_ms"], int((time.monotonic() - start) * 1000))
            await asyncio.sleep(PAUSE)

    async def create_new() -> None:
        number = 0
        while time.monotonic() < stop:
            number += 1
            name = f"new-{number}"
            try:
                await world.kes.create(name)
                created.append(name)
                counts["created"] += 1
            except AlreadyExists:
                created.append(name)  # an attempt whose answer was lost
            except Unavailable:
                pass
            await asyncio.sleep(0.05)

    started = resident_kb()
    await asyncio.gather(flap(), *(use_cached() for _ in range(4)), create_new())
    recover()
    ended = resident_kb()
    for name in created:
        assert await world.kes.generate(name)
    print(dict(counts), reasons, f"resident {started} -> {ended} kB", flush=True)
    assert counts["refused"] == 0
    assert ended < started + 20_000  # keys that were created lie in the same process, about 1 kB each
    await world.stop()
