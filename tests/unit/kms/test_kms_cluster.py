"""The place of the active server, while a server is being initialised."""

import asyncio

from kms_replay import Replay

from strongroom.kms.handlers.cluster import Member


class Place:
    """An election of one; it writes down what is asked of it."""

    def __init__(self):
        self.asked = []

    def acquire(self, address):
        self.asked.append("acquire")
        return True

    def beat(self):
        return True

    def release(self):
        self.asked.append("release")

    def leader(self):
        return None


async def test_a_sealed_server_keeps_its_place_until_it_is_initialised(tmp_path, monkeypatch):
    replay, place = Replay(tmp_path), Place()
    sealing = replay.pipeline.sealing
    replay.core.cluster = member = Member(replay.core, sealing, place, "http://here")
    waiting, store = [], replay.core.store
    take = store.submit
    monkeypatch.setattr(store, "submit", lambda writes, done: waiting.append((writes, done)))
    init = asyncio.create_task(sealing.init({"secret_shares": 1, "secret_threshold": 1}))
    while not waiting:
        await asyncio.sleep(0.01)
    turn = asyncio.create_task(member.turn())
    await asyncio.sleep(0.05)
    assert place.asked == ["acquire"]
    for writes, done in waiting:
        take(writes, done)
    assert (await init)["keys"]
    await turn
    assert place.asked == ["acquire", "release"]
