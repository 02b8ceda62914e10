import asyncio

import pytest

from strongroom.crypto.secret import Secret
from strongroom.s3.domain.key_errors import KeyDisabled
from strongroom.s3.domain.ports import DataKey
from strongroom.s3.outside.key_cache import CachedKeys


class Counting:
    """DataKeys that count calls and wait when told to."""

    def __init__(self):
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure = None

    async def _call(self):
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        if self.failure:
            raise self.failure
        return number

    async def generate(self, key_name, context, *, shared=False):
        number = await self._call()
        return DataKey(Secret(bytes([number]) * 32), b"sealed%d" % number, key_name)

    async def unseal(self, key_name, ciphertext, context):
        return Secret(bytes([await self._call()]) * 32)


class Clock:
    now = 100.0
    keep = 300.0


@pytest.fixture
def made():
    source, clock = Counting(), Clock()
    cached = CachedKeys(source, "default", lambda: clock.now, lambda: clock.keep, entries=3)
    return source, clock, cached


async def test_opened_keys_are_kept_by_name_ciphertext_and_context(made):
    source, _, cached = made
    first = await cached.unseal("", b"c", b"x")
    assert await cached.unseal("default", b"c", b"x") is first
    assert source.calls == 1
    for name, ciphertext, context in (("k", b"c", b"x"), ("", b"d", b"x"), ("", b"c", b"y")):
        assert await cached.unseal(name, ciphertext, context) is not first
    assert source.calls == 4


async def test_keys_age_by_the_limit_of_the_moment(made):
    source, clock, cached = made
    await cached.unseal("k", b"c", b"")
    clock.now += 299
    await cached.unseal("k", b"c", b"")
    assert source.calls == 1
    clock.keep = 5.0  # the event stream is down
    await cached.unseal("k", b"c", b"")
    assert source.calls == 2
    clock.now += 5
    await cached.unseal("k", b"c", b"")
    assert source.calls == 3


async def test_only_shared_data_keys_are_shared(made):
    source, clock, cached = made
    one = await cached.generate("k", b"bucket", shared=True)
    assert await cached.generate("k", b"bucket", shared=True) is one
    assert await cached.generate("k", b"bucket") is not one
    assert await cached.generate("k", b"other", shared=True) is not one
    clock.now += 301
    assert await cached.generate("k", b"bucket", shared=True) is not one
    assert source.calls == 4


async def test_a_shared_key_need_not_be_opened_again(made):
    source, _, cached = made
    one = await cached.generate("k", b"bucket", shared=True)
    assert await cached.unseal("k", one.ciphertext, b"bucket") is one.plaintext
    assert source.calls == 1
    cached.forget("k")
    source.gate.clear()
    task = asyncio.create_task(cached.generate("k", b"bucket", shared=True))
    await asyncio.sleep(0)
    cached.forget("k")
    source.gate.set()
    await task
    assert cached.size == 0


async def test_the_least_used_goes_first(made):
    source, _, cached = made
    for number in (1, 2, 3, 1, 4):
        await cached.unseal("k", bytes([number]), b"")
    assert cached.size == 3
    before = source.calls
    await cached.unseal("k", b"\x01", b"")
    assert source.calls == before
    await cached.unseal("k", b"\x02", b"")
    assert source.calls == before + 1


async def test_many_at_once_ask_once(made):
    source, _, cached = made
    source.gate.clear()
    tasks = [asyncio.create_task(cached.unseal("k", b"c", b"")) for _ in range(20)]
    await asyncio.sleep(0)
    source.gate.set()
    assert len({bytes(key) for key in await asyncio.gather(*tasks)}) == 1
    assert source.calls == 1


async def test_a_failure_reaches_all_who_wait_and_is_not_kept(made):
    source, _, cached = made
    source.failure = KeyDisabled("k")
    source.gate.clear()
    tasks = [asyncio.create_task(cached.unseal("k", b"c", b"")) for _ in range(3)]
    await asyncio.sleep(0)
    source.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [KeyDisabled] * 3
    source.failure = None
    assert await cached.unseal("k", b"c", b"")


async def test_a_caller_that_gives_up_does_not_take_the_others_along(made):
    source, _, cached = made
    source.gate.clear()
    first = asyncio.create_task(cached.unseal("k", b"c", b""))
    await asyncio.sleep(0)
    second = asyncio.create_task(cached.unseal("k", b"c", b""))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first
    source.gate.clear()
    third, fourth = (asyncio.create_task(cached.unseal("k", b"d", b"")) for _ in range(2))
    await asyncio.sleep(0)
    fourth.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fourth
    source.gate.set()
    assert await third


async def test_what_is_forgotten_on_its_way_is_not_kept(made):
    source, _, cached = made
    await cached.unseal("other", b"c", b"")
    source.gate.clear()
    task = asyncio.create_task(cached.unseal("k", b"c", b""))
    await asyncio.sleep(0)
    cached.forget("k")
    source.gate.set()
    await task
    assert cached.size == 1
    await cached.unseal("k", b"c", b"")
    assert source.calls == 3
    cached.forget()
    assert cached.size == 0
