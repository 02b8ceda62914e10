"""The model's players and jobs through many kills, on two workers. `make soak`; S3_MODEL_ROUNDS says how many (20)."""

import os

import pytest
from s3_model_rounds import play
from s3_process import S3Process

ROUNDS = int(os.environ.get("S3_MODEL_ROUNDS", "20"))


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_a_model_agrees_through_many_kills(tmp_path):
    environment = {"MINIO_KMS_AUTO_ENCRYPTION": "off", "STRONGROOM_S3_WORKERS": "2"}
    server = S3Process(tmp_path / "data", **environment).start()
    try:
        print(play(server, ROUNDS, seconds=(0.5, 4.0)))
    finally:
        server.stop()
