"""kill -9 in the middle of writes, again and again: every acknowledged write is there, nothing is unreadable."""

import base64
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from postgres import Postgres

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))
from kms_server import KmsProcess

ROUNDS = int(os.environ.get("KMS_KILL_ROUNDS", "20"))
WRITERS = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def kms(request, tmp_path):
    if request.param == "sqlite":
        server = KmsProcess(tmp_path)
        yield server.start()
        server.__exit__()
        return
    database = Postgres().start()
    server = KmsProcess(tmp_path, {"postgresql": {"connection_url": database.url()}})
    try:
        yield server.start()
    finally:
        server.__exit__()
        database.stop()


def active(kms, keys, seconds=15):
    """Unseal and wait until the server answers."""
    kms.unseal(keys)
    end = time.monotonic() + seconds
    while kms.ask("GET", "sys/health")[0] != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_acknowledged_writes_survive_kills(kms):
    keys, root = kms.set_up()
    for path in ("kv", "transit"):
        assert kms.ask("POST", f"sys/mounts/{path}", {"type": path}, root)[0] == 204
    acknowledged, sealed = {}, []
    counter = iter(range(10**9))
    lock = threading.Lock()

    def write(stop):
        while not stop.is_set():
            with lock:
                number = next(counter)
            try:
                if number % 5 == 0:
                    body = {"plaintext": base64.b64encode(str(number).encode()).decode()}
                    status, found = kms.ask("POST", f"transit/encrypt/k{number % 7}", body, root)
                    if status == 200:
                        sealed.append((number, found["data"]["ciphertext"]))
                elif kms.ask("PUT", f"kv/n/{number}", {"n": number}, root)[0] == 204:
                    acknowledged[number] = number
            except (OSError, ValueError):
                return

    for _ in range(ROUNDS):
        stop = threading.Event()
        writers = [threading.Thread(target=write, args=(stop,)) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(0.6)
        kms.kill()
        stop.set()
        for writer in writers:
            writer.join()
        kms.start()
        active(kms, keys)
        for number in list(acknowledged)[-200:]:
            assert kms.ask("GET", f"kv/n/{number}", token=root)[1]["data"] == {"n": number}
    found = set(kms.ask("LIST", "kv/n", token=root)[1]["data"]["keys"])
    assert {str(number) for number in acknowledged} <= found
    for name in sorted(found)[:: max(len(found) // 500, 1)]:
        assert kms.ask("GET", f"kv/n/{name}", token=root)[0] == 200
    for number, text in sealed[:: max(len(sealed) // 300, 1)]:
        status, opened = kms.ask("POST", f"transit/decrypt/k{number % 7}", {"ciphertext": text}, root)
        assert status == 200, opened
        assert base64.b64decode(opened["data"]["plaintext"]) == str(number).encode()
    assert len(acknowledged) > ROUNDS * 20
