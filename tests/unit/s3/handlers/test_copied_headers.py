"""Which headers a copy takes from its source."""

import pytest


@pytest.mark.parametrize(("given", "shown"), [({}, None), ({"x-amz-website-redirect-location": "/new"}, "/new")])
def test_a_redirect_is_the_copys_own(world, given, shown):
    own = {"x-amz-website-redirect-location": "/old", "cache-control": "no-cache"}
    assert world.send("PUT", "/data/from", "", own, b"x").status == 200
    assert world.send("GET", "/data/from").headers["x-amz-website-redirect-location"] == "/old"
    assert world.send("PUT", "/data/to", "", {"x-amz-copy-source": "/data/from", **given}).status == 200
    copied = world.send("GET", "/data/to").headers
    assert (copied.get("x-amz-website-redirect-location"), copied["cache-control"]) == (shown, "no-cache")
