"""CORS rules on requests that are no preflights."""

import pytest
from s3_memory import Memory

RULES = b"""<CORSConfiguration><CORSRule><AllowedOrigin>http://one</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>
<AllowedHeader>x-*</AllowedHeader></CORSRule><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>
</CORSRule></CORSConfiguration>"""


@pytest.fixture(scope="module")
def world():
    made = Memory()
    made.send("PUT", "/data")
    assert made.send("PUT", "/data", "cors", {}, RULES).status == 200
    made.send("PUT", "/data/k", "", {}, b"x")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("origin", "asked", "allowed"),
    [
        ("http://one", {}, "*"),
        ("http://one", {"method": "PUT"}, "http://one"),
        ("http://one", {"method": "PUT", "headers": "x-a,X-b"}, "http://one"),
        ("http://one", {"method": "PUT", "headers": "x-a,other"}, None),
        ("http://one", {"method": "DELETE"}, None),
        ("http://two", {"method": "PUT"}, None),
        ("http://two", {}, "*"),
    ],
)
def test_what_a_preflight_would_ask_counts_on_any_request(world, origin, asked, allowed):
    headers = {f"access-control-request-{name}": value for name, value in asked.items()}
    answer = world.send("GET", "/data/k", "", {"origin": origin, **headers})
    assert (answer.status, answer.headers.get("access-control-allow-origin")) == (200, allowed)
