"""What any client may send costs no memory and writes nothing of its own into the audit log."""

import asyncio
import base64
import datetime
import json
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.errors import Denied, Malformed
from strongroom.kes.domain.errors import BadForwarding, BadImport, BadKeyName, NoCertificate, StoreUnreachable
from strongroom.kes.domain.policy import Policies
from strongroom.kes.domain.settings import TlsSettings
from strongroom.kes.handlers import system
from strongroom.kes.handlers.audit import _context
from strongroom.kes.handlers.call import Server
from strongroom.kes.handlers.counters import Counters
from strongroom.kes.handlers.entrance import Entrance, Target, _identify
from strongroom.kes.handlers.proxy import forwarded, forwarded_address
from strongroom.kes.handlers.routes import Route
from strongroom.kes.wire.apikey import ApiKey
from strongroom.messages import Peer, Request
from strongroom.observe.log import DEBUG, OFF, Log


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


def _weird(pattern: bytes, other: bytes) -> bytes:
    pem, _ = ApiKey.generate().certificate(datetime.datetime.now(datetime.UTC))
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    assert der.count(pattern) == 1
    return der.replace(pattern, other)


WEIRD = {
    "two basic constraints": (b"\x55\x1d\x0f", b"\x55\x1d\x13"),
    "version 7": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"),
}


@pytest.mark.parametrize("kind", WEIRD)
def test_a_certificate_that_cannot_be_read_names_nobody(entrance, kind):
    peer = Peer("127.0.0.1", 1, True, (_weird(*WEIRD[kind]),))
    request = Request("GET", "/v1/status", "/v1/status", "", {}, (), peer)
    caller = entrance._caller(SimpleNamespace(request=request, address=""))
    assert isinstance(caller.error, NoCertificate)
    assert not caller.identity


@pytest.mark.parametrize("kind", WEIRD)
def test_a_forwarded_certificate_that_cannot_be_read_is_refused(kind):
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(_weird(*WEIRD[kind])) + b"-----END CERTIFICATE-----\n"
    raw = ((b"X-Tls-Client-Cert", quote(pem).encode()),)
    request = Request("GET", "/", "/", "", {}, raw, Peer("127.0.0.1", 1))
    try:
        der = forwarded(request, TlsSettings("", "", proxy_header="x-tls-client-cert"))
    except BadForwarding:
        return
    assert isinstance(_identify((der,)).error, NoCertificate)


def test_a_deep_context_costs_no_audit_line():
    for context in (b"[" * 100_000, b'{"a":' * 50_000, b'{"a":"\\ud800"}', b"\xff", b"{}", b'{"a":1}'):
        text = _context(context)
        assert text == "null" or json.loads(text).keys() <= {"a"}
        text.encode()


async def test_a_slow_listener_is_cut_off_and_costs_no_more_memory(monkeypatch):
    monkeypatch.setattr(system, "_STREAM_QUEUE", 10)
    give, left = [], []

    def subscribe(one):
        give.append(one)
        return lambda: left.append(one)

    stopping = []
    lines = system._stream(SimpleNamespace(server=SimpleNamespace(stopping=stopping)), subscribe)
    assert await anext(lines) == b""
    for number in range(1000):
        give[0](b"%d" % number)
    queue = next(cell.cell_contents for cell in give[0].__closure__ if isinstance(cell.cell_contents, asyncio.Queue))
    assert queue.qsize() == 11
    assert [line async for line in lines] == [b"%d" % number for number in range(10)]
    assert left
    assert not stopping


class _Audit:
    subscribed, failing = False, False

    def __init__(self):
        self.lines = []

    def later(self, make, *of):
        self.lines.append(make(*of))


@pytest.mark.parametrize("waits", [False, True])
async def test_a_fault_of_ours_is_answered_counted_and_audited(entrance, waits, capsys):
    def fault(call):
        raise RuntimeError("secret")

    async def later(call):
        fault(call)

    audit = _Audit()
    entrance.server = Server("1", Log(), audit, Counters())
    entrance._audited = True
    entrance.state.settings.audit = SimpleNamespace(context=False)
    route = Route("GET", "/v1/x", later if waits else fault, auth=False, identified=False)
    entrance._targets["/v1/x"] = Target("/v1/x", route, quoted='"/v1/x"')
    answer = entrance(Request("GET", "/v1/x", "/v1/x", "", {}, (), Peer("127.0.0.1", 1, True)), SimpleNamespace())
    if waits:
        answer = await answer
    assert (answer.status, json.loads(answer.body)) == (500, {"message": "internal error"})
    assert '"code":500' in audit.lines[0]
    told = capsys.readouterr().err
    assert "RuntimeError at test_kes_hostile_clients.py" in told
    assert "secret" not in told
    assert entrance.server.counters.answers["/v1/x", 500] == 1


async def test_a_request_that_is_cut_off_has_its_audit_line(entrance):
    begun = asyncio.Event()

    async def long(call):
        begun.set()
        await asyncio.sleep(60)

    audit = _Audit()
    entrance.server = Server("1", Log(OFF + 1), audit, Counters())
    entrance._audited = True
    entrance.state.settings.audit = SimpleNamespace(context=False)
    entrance.state.watch = SimpleNamespace(serves_offline_until=lambda: None)
    route = Route("GET", "/v1/x", long, auth=False, identified=False)
    entrance._targets["/v1/x"] = Target("/v1/x", route, quoted='"/v1/x"')
    work = entrance(Request("GET", "/v1/x", "/v1/x", "", {}, (), Peer("127.0.0.1", 1, True)), SimpleNamespace())
    task = asyncio.create_task(work)
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert '"route":"/v1/x"' in audit.lines[0]
    assert not entrance.server.counters.active


LEVELS = {
    "/v1/ready": (StoreUnreachable("away"), "WARN"),
    "/v1/key/create/x": (StoreUnreachable("away"), "ERROR"),
    "/v1/key/decrypt/x": (Malformed("not JSON"), "ERROR"),
    "/v1/key/import/x": (BadImport("not JSON"), "ERROR"),
    "/v1/key/describe/-": (BadKeyName("-"), "DEBUG"),
    "/v1/status": (Denied("access denied: identity not found"), "DEBUG"),
}


@pytest.mark.parametrize("path", LEVELS)
def test_what_goes_wrong_is_logged_as_loud_as_the_original_does(entrance, path, capsys):
    """Source: kes.md 8."""
    error, level = LEVELS[path]

    def fails(call):
        raise error

    entrance.server = Server("1", Log(DEBUG), _Audit(), Counters())
    entrance.state.watch = SimpleNamespace(serves_offline_until=lambda: None)
    route = Route("GET", path, fails, auth=False, identified=False)
    entrance._targets[path] = Target(path, route, quoted=json.dumps(path))
    entrance(Request("GET", path, path, "", {}, (), Peer("127.0.0.1", 1, True)), SimpleNamespace())
    assert f"level={level} " in capsys.readouterr().err
