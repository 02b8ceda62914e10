"""Versioned, multipart, copied, deleted, tagged, locked and re-wrapped objects survive kills as a model says."""

import random
import threading
import time

from s3_model import LOCKED, PLAIN, VERSIONED, Player
from s3_process import S3Process

PLAYERS, STEPS, ROUNDS = 6, 400, 2


def test_what_was_answered_is_there_after_a_kill(tmp_path):
    server = S3Process(tmp_path / "data").start()
    try:
        client = server.client()
        client.create_bucket(Bucket=PLAIN)
        client.create_bucket(Bucket=VERSIONED)
        client.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
        client.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
        seed = random.randrange(2**32)
        known = None
        for number in range(ROUNDS):
            killed = threading.Event()
            players = [Player(server, n, STEPS, killed, seed + 100 * number + n) for n in range(PLAYERS)]
            if known is not None:
                for player, keys in zip(players, known, strict=True):
                    player.keys = keys
            for player in players:
                player.start()
            time.sleep(random.uniform(1.0, 2.0))
            killed.set()
            server.kill()
            for player in players:
                player.join(30)
                assert player.failure is None, (seed, player.failure)
            assert sum(player.done for player in players) > 20
            server.start()
            client = server.client(attempts=3)
            for player in players:
                player.settle(client)
            known = [player.keys for player in players]
    finally:
        server.stop()
