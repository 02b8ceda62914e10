"""What any client may send costs no memory and writes nothing of its own into the audit log."""

from types import SimpleNamespace

import pytest

from strongroom.kes.domain.policy import Policies
from strongroom.kes.handlers.entrance import Entrance
from strongroom.kes.handlers.proxy import forwarded_address
from strongroom.messages import Peer, Request


@pytest.fixture
def entrance():
    settings = SimpleNamespace(audit_on=False, routes={}, tls=SimpleNamespace(proxies=()))
    return Entrance(SimpleNamespace(), SimpleNamespace(settings=settings, policies=Policies(), verify=None))


def test_long_paths_are_answered_and_forgotten(entrance):
    for number in range(20):
        path = f"/v1/key/create/{number}" + "x" * 50_000
        assert entrance._find(path).path == path
        assert entrance._decide(("0" * 64, path)) is not None
    assert not entrance._targets
    assert not entrance._decisions
    entrance._find("/v1/key/create/my-key")
    assert list(entrance._targets) == ["/v1/key/create/my-key"]


def test_large_certificates_are_looked_at_and_forgotten(entrance):
    for size, kept in ((50_000, 0), (1_000, 1)):
        peer = Peer("127.0.0.1", 1, True, (b"\x30" * size,))
        request = Request("GET", "/v1/status", "/v1/status", "", {}, (), peer)
        assert entrance._caller(SimpleNamespace(request=request, address="")).error is not None
        assert len(entrance._callers) == kept


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("192.0.2.1, 10.0.0.1", "192.0.2.1"),
        ('fe80::1%","identity":"admin', "fe80::1"),
        ('"', ""),
        ("", ""),
    ],
)
def test_a_forwarded_address_is_an_address_and_nothing_else(header, address):
    request = Request("GET", "/", "/", "", {"x-forwarded-for": header}, (), Peer("127.0.0.1", 1))
    assert forwarded_address(request) == address
