"""Versioned, multipart, copied, deleted, tagged, locked, re-wrapped and encrypted objects survive kills as modelled."""

from s3_model_rounds import play
from s3_process import S3Process

ROUNDS = 2


def test_what_was_answered_is_there_after_a_kill(tmp_path):
    server = S3Process(tmp_path / "data", MINIO_KMS_AUTO_ENCRYPTION="off").start()
    try:
        counts = play(server, ROUNDS)
        assert counts["operations"] > 40
        assert counts["jobs"] > 1
        assert counts["versions"] > 20
    finally:
        server.stop()
