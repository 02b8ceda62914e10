"""SIGKILL in the middle of 1,000 parallel PUTs, 20 times. Run by `make soak`."""

import time

from kill_rounds import BUCKET, no_leftovers, one_round
from s3_process import S3Process

ROUNDS, PUTS = 20, 1000


def test_answered_puts_survive_twenty_kills(tmp_path):
    server = S3Process(tmp_path / "data").start()
    server.client().create_bucket(Bucket=BUCKET)
    for number in range(ROUNDS):
        answered, cut = one_round(server, number, PUTS)
        print(f"round {number}: {answered} answered 200 and correct, {cut} cut off", flush=True)
    time.sleep(2)
    no_leftovers(server)
    server.stop()
