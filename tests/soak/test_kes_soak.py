"""Mixed load for minutes with the key store taken away and given back at random. Run by `make soak`.

KES_SOAK_SECONDS says how long (600).
"""

import asyncio
import os
import random
import re
import time
from pathlib import Path

import pytest
from test_kes_outage import World

from strongroom.errors import AlreadyExists, Unavailable
from strongroom.kes.domain.settings import CacheSettings, LockSettings

SECONDS = float(os.environ.get("KES_SOAK_SECONDS", "600"))
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
    counts = {"served": 0, "created": 0, "refused": 0, "outages": 0}
    created: list[str] = []

    async def flap() -> None:
        while time.monotonic() < stop:
            await asyncio.sleep(random.uniform(0.3, 2))
            world.store.away = True
            counts["outages"] += 1
            await asyncio.sleep(random.uniform(0.1, 2))
            world.store.away = False

    async def use_cached() -> None:
        """Never an error: these keys are in the cache, and the store is known to be away within 0.1 s.

        A drop by the `any` timer in that first moment of an outage is the one thing that may refuse.
        """
        while time.monotonic() < stop:
            name = random.choice(CACHED)
            try:
                assert (await world.kes.decrypt(name, made[name].ciphertext, name.encode())).plaintext == made[
                    name
                ].plaintext
                counts["served"] += 1
            except Unavailable:
                assert name not in world.app.state.keyring.entries or world.store.away
                counts["refused"] += 1
            await asyncio.sleep(0)

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
    world.store.away = False
    for name in created:
        assert await world.kes.generate(name)
    print(counts, f"resident {started} -> {resident_kb()} kB", flush=True)
    assert counts["refused"] < counts["served"] / 50
    assert resident_kb() < started + 60_000
    await world.stop()
