"""Two kms servers over one PostgreSQL: one answers, the other points to it and takes over when it is killed."""

import json
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from postgres import Postgres

sys.path.insert(0, str(Path(__file__).parent))
from kms_server import KmsProcess


@pytest.fixture
def pair(tmp_path):
    database = Postgres().start()
    storage = {"postgresql": {"connection_url": database.url(), "ha_enabled": "true"}}
    servers = [KmsProcess(tmp_path, storage) for _ in range(2)]
    try:
        yield [server.start() for server in servers]
    finally:
        for server in servers:
            server.__exit__()
        database.stop()


def health(server):
    return server.ask("GET", "sys/health")[0]


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return time.monotonic()
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def test_take_over_loses_no_acknowledged_write(pair):
    one, two = pair
    keys, root = one.set_up(3, 2)
    assert health(one) == 200
    assert health(two) == 503
    two.unseal(keys[:2])
    assert health(two) == 429
    assert two.ask("GET", "sys/leader")[1]["leader_address"] == one.url
    assert one.ask("POST", "sys/mounts/kv", {"type": "kv"}, root)[0] == 204

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(Stay).open(f"{two.url}/v1/kv/x")
    assert refused.value.code == 307
    assert refused.value.headers["Location"] == f"{one.url}/v1/kv/x"

    acknowledged, stop = [], threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            try:
                if one.ask("PUT", f"kv/n/{number}", {"n": number}, root)[0] == 204:
                    acknowledged.append(number)
            except OSError:
                return
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    wait_for(lambda: len(acknowledged) > 50)
    one.kill()
    killed = time.monotonic()
    stop.set()
    writer.join()
    assert wait_for(lambda: health(two) == 200) - killed < 5
    found = two.ask("LIST", "kv/n", token=root)[1]["data"]["keys"]
    assert {str(number) for number in acknowledged} <= set(found)
    assert two.ask("GET", f"kv/n/{acknowledged[-1]}", token=root)[1]["data"] == {"n": acknowledged[-1]}
    assert two.ask("PUT", "kv/after", {"x": 1}, root)[0] == 204
    one.start()
    one.unseal(keys[:2])
    assert health(one) == 429


def test_step_down_gives_the_place_away(pair):
    one, two = pair
    keys, root = one.set_up()
    two.unseal(keys)
    assert one.ask("PUT", "sys/step-down", token=root)[0] == 204
    wait_for(lambda: health(two) == 200)
    assert health(one) == 429
    assert two.ask("PUT", "sys/seal", token=root)[0] == 204
    wait_for(lambda: health(one) == 200, 15)
    assert json.dumps(one.ask("GET", "sys/key-status", token=root)[1]["data"]["term"])


def test_only_one_of_two_servers_initialises(pair):
    one, two = pair
    answers = []

    def init(server):
        answers.append(server.ask("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})[0])

    threads = [threading.Thread(target=init, args=(server,)) for server in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 400]
