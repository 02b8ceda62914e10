"""A server in memory with one bucket, for files that need no other."""

import pytest
from s3_memory import Memory


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.send("PUT", "/data")
    yield made
    made.close()
