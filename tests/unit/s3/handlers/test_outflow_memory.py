"""Readers that take their time hold little memory when they are many, and what they get is the same."""

import os

import pytest

from strongroom.crypto import dare
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.records import ObjectVersion
from strongroom.s3.domain.sealing import new_seal, open_seal
from strongroom.s3.handlers import outflow
from strongroom.s3.outside.static_key import StaticKey

KEYS = StaticKey("my-key", bytes(range(32)))
SIZE = 5_000_000
PLAIN = os.urandom(SIZE)


class Stored:
    inline = None

    def __init__(self, data):
        self.data, self.stored = data, len(data)

    def read_into(self, offset, buffer):
        piece = self.data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self):
        self.data = b""


@pytest.fixture(params=["plain", "sealed"])
async def stored(request):
    version = ObjectVersion("k", "null", 0, SIZE, SIZE, b"", latest=True)
    if request.param == "plain":
        return version, None, PLAIN
    seal = await new_seal(Encryption(Kind.S3), "b", "k", KEYS)
    sealer = seal.sealer(None, SIZE)
    sealed = b"".join(
        [bytes(sealer.feed(memoryview(PLAIN)[at : at + 1_000_000])) for at in range(0, SIZE, 1_000_000)]
    ) + bytes(sealer.finish())
    return version, await open_seal(seal.metadata, "b", "k", KEYS, None), sealed


@pytest.fixture
def pool(monkeypatch):
    made = outflow.WindowPool()
    monkeypatch.setattr(outflow, "_windows", made)
    return made


@pytest.mark.parametrize("generous", [0, outflow.WindowPool.GENEROUS])
@pytest.mark.parametrize(("start", "stop"), [(0, SIZE), (70_000, 4_000_001), (1, 1_000_000)])
def test_small_windows_give_the_same_bytes(stored, pool, generous, start, stop):
    version, seal, data = stored
    pool.GENEROUS = generous
    pieces = outflow.Pieces(Stored(data), version, seal, start, stop)
    assert b"".join([bytes(piece) for piece in pieces]) == PLAIN[start:stop]
    pieces.close()
    assert pool.lent == 0


def test_many_slow_readers_hold_little(stored, pool):
    version, seal, data = stored
    readers = [outflow.Pieces(Stored(data), version, seal, 0, SIZE) for _ in range(1000)]
    for reader in readers:
        next(reader)
    assert pool.lent < pool.GENEROUS + 1000 * 2 * outflow.SMALL_WINDOW + 2 * outflow.SEALED_WINDOW
    for reader in readers:
        reader.close()
    assert pool.lent == 0
    assert outflow.SMALL_WINDOW == 2 * dare.SEALED_PACKAGE
