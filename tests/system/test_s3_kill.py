import time

import pytest
from kill_rounds import BUCKET, no_leftovers, one_round
from s3_process import S3Process


@pytest.fixture
def server(tmp_path):
    running = S3Process(tmp_path / "data").start()
    yield running
    running.stop()


def test_answered_puts_survive_kills(server):
    server.client().create_bucket(Bucket=BUCKET)
    for number in range(2):
        answered, cut = one_round(server, number, 200)
        assert answered > 0
        assert cut > 0
    time.sleep(1)
    no_leftovers(server)
