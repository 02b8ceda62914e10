"""Who goes on with a download gets the rest of the same object, or another one whole."""

import pytest
from s3_memory import Memory


@pytest.fixture(scope="module")
def memory():
    it = Memory()
    yield it
    it.close()


@pytest.mark.parametrize("sealing", [[], [("x-amz-server-side-encryption", "AES256")]], ids=["plain", "sse-s3"])
def test_if_range(memory, sealing):
    name = f"if-range-{len(sealing)}"
    assert memory.send("PUT", f"/{name}").status == 200
    first = memory.send("PUT", f"/{name}/k", headers=sealing, body=b"hello")
    etag = first.headers["etag"]

    def rest(condition):
        return memory.send("GET", f"/{name}/k", headers=[("range", "bytes=2-"), ("if-range", condition)])

    same = rest(etag)
    assert (same.status, same.body) == (206, b"llo")
    by_date = rest(same.headers["last-modified"])
    assert (by_date.status, by_date.body) == (206, b"llo")
    memory.send("PUT", f"/{name}/k", headers=sealing, body=b"other")
    replaced = rest(etag)
    assert (replaced.status, replaced.body) == (200, b"other")
    assert "content-range" not in replaced.headers
