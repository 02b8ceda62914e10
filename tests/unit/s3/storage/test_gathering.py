"""Which writes become one group."""

import asyncio

import pytest

from strongroom.s3.storage.gathering import TURNS, Gatherer, Job


class World:
    def __init__(self):
        self.groups = []
        self.settled = []
        self.gatherer = Gatherer(
            asyncio.get_running_loop(), lambda jobs: self.groups.append([job.cost for job in jobs])
        )

    def add(self, number, prepare=None):
        self.gatherer.add(
            Job(lambda tx: None, lambda result, error: self.settled.append((number, error)), number, prepare=prepare)
        )


@pytest.fixture
async def world(monkeypatch):
    monkeypatch.setattr("strongroom.s3.storage.gathering.PATIENCE", 60.0)  # this machine may be slow
    return World()


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def test_writes_of_turns_that_follow_each_other_go_together(world):
    for number in range(5):
        world.add(number)
        await turns(1)
    await turns(2)
    assert world.groups == [[0, 1, 2, 3, 4]]
    assert not world.gatherer


async def test_a_lone_write_waits_for_nothing_but_its_turn(world):
    world.add(1)
    await turns(3)
    assert world.groups == [[1]]


async def test_while_a_group_is_committed_others_wait_and_a_moment_longer(world):
    world.add(1)
    await turns(3)
    for number in (2, 3):
        world.add(number)
        await turns(5)
    assert world.groups == [[1]]
    assert world.gatherer
    world.gatherer.committed()
    await turns(TURNS - 1)
    world.add(4)  # a client that was answered
    await turns(TURNS + 2)
    assert world.groups == [[1], [2, 3, 4]]


async def test_waiting_ends(world, monkeypatch):
    monkeypatch.setattr("strongroom.s3.storage.gathering.PATIENCE", 0.0)
    world.add(1)
    for number in range(2, 9):  # each turn brings one more
        await turns(1)
        world.add(number)
    assert world.groups[0] == [1]


async def test_writes_are_prepared_together_and_one_that_fails_is_told(world):
    prepared = []

    def prepare(number):
        def work():
            prepared.append(number)
            if number == 2:
                raise ValueError("two")
            return lambda tx: number

        return work

    for number in (1, 2, 3):
        world.add(number, prepare(number))
    assert prepared == []
    await turns(3)
    assert prepared == [1, 2, 3]
    assert world.groups == [[1, 3]]
    assert [(number, str(error)) for number, error in world.settled] == [(2, "two")]


async def test_when_all_fail_nothing_is_waited_for(world):
    world.add(1, lambda: 1 // 0)
    await turns(3)
    world.add(2)
    await turns(3)
    assert world.groups == [[2]]
