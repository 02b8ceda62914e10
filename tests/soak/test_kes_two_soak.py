"""Two key servers on one OpenBao with the default bound on locks: 50 keys disabled on one and refused by the other."""

import asyncio
import time
from pathlib import Path

import bao_world
import pytest
import test_kes_states
from test_kes_states import Two

from strongroom.audit.chain import verify
from strongroom.errors import Tampered
from strongroom.kes.domain.errors import KeyDisabled

ROUNDS = 50
WITHIN = 5.0  # seconds: the default of lock.within


@pytest.mark.timeout(600)
async def test_a_key_disabled_on_one_is_refused_by_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_kes_states, "WITHIN", WITHIN)
    async with bao_world.bao(tmp_path) as bao:
        two = await Two(tmp_path, bao.store(prefix="minio")).start()
        took = []
        for number in range(ROUNDS):
            name = f"mine-{number}"
            await two.one.create(name)
            made = await two.two.generate(name, b"c")
            await two.one.disable(name)
            with pytest.raises(KeyDisabled):
                await two.one.decrypt(name, made.ciphertext, b"c")
            start = time.monotonic()
            while time.monotonic() - start < 2 * WITHIN:
                try:
                    await two.two.generate(name)
                except KeyDisabled:
                    break
                await asyncio.sleep(0.02)
            took.append(time.monotonic() - start)
            await two.two.enable(name)
            assert (await two.two.decrypt(name, made.ciphertext, b"c")).plaintext == made.plaintext
        await two.stop()
    for name in ("one", "two"):
        lines = (tmp_path / f"{name}.audit").read_bytes().splitlines(keepends=True)
        assert verify(lines).lines == len(lines)
        changed = bytearray(lines[len(lines) // 2])
        changed[len(changed) // 2] ^= 1
        lines[len(lines) // 2] = bytes(changed)
        with pytest.raises(Tampered, match=f"line {len(lines) // 2 + 1}"):
            verify(lines)
    in_time = sum(seconds <= WITHIN for seconds in took)
    print(f"{in_time} of {ROUNDS} within {WITHIN:g} s; slowest {max(took):.2f} s, mean {sum(took) / ROUNDS:.2f} s")
    assert in_time == ROUNDS
