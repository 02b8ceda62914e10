"""Any request to any route, by an admin who may do everything, has an answer that was foreseen."""

import base64
import datetime
import json
import random
from collections.abc import AsyncIterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom.audit.log import AuditLog
from strongroom.kes import app
from strongroom.kes.domain.settings import AuditSettings, MemorySettings, Settings, TlsSettings
from strongroom.kes.handlers.call import Server
from strongroom.kes.handlers.counters import Counters
from strongroom.kes.handlers.entrance import Entrance
from strongroom.kes.handlers.routes import ROUTES
from strongroom.kes.handlers.turns import Turns
from strongroom.kes.wire.apikey import ApiKey
from strongroom.messages import Peer, Request
from strongroom.observe.log import OFF, Log

VALUES = (None, True, 0, -1, 1e308, "", "x", "AAAA", "a" * 100, base64.b64encode(bytes(32)).decode(), [], {}, [1],
          {"a": 1}, "\ud800", "é", "a\r\nb==")  # fmt: skip
NAMES = ("context", "plaintext", "ciphertext", "message", "version", "key", "bytes", "cipher", "algorithm", "after",
         "type", "CONTEXT", "Key")  # fmt: skip
ARGUMENTS = ("k", "k2", "k3", "-", "", "x" * 90, "a%2Fb", "%00", "%ff", "é", "*", "k*", "..", "a.b", "%", "%zz")
QUERIES = ("", "x=1", "ours", "after=1-2", "%ff")
ACCEPTED = ("", "application/x-ndjson", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily")
ROUTES_THAT_END = [route for route in ROUTES if "log" not in route.path and "events" not in route.path]


class Body:
    """A body that has arrived."""

    def __init__(self, data: bytes, chunked: bool) -> None:
        self.buffered = data
        self.length = None if chunked else len(data)


@pytest.fixture
async def entrance() -> AsyncIterator[Entrance]:
    key = ApiKey.generate()
    pem, _ = key.certificate(datetime.datetime.now(datetime.UTC))
    settings = Settings(
        host="127.0.0.1",
        port=0,
        admin=key.identity,
        tls=TlsSettings("", ""),
        store=MemorySettings(),
        audit=AuditSettings(console=False, context=True),
    )
    log = Log(OFF + 1)
    state = await app._make_state(settings, log, Turns())
    audit = AuditLog(None)
    audit.subscribe(lambda line: None)
    made = Entrance(Server("1", log, audit, Counters()), state)
    made.certificate = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    yield made
    await state.watch.stop()


def _body(choice: random.Random) -> bytes:
    kind = choice.random()
    if kind < 0.1:
        return b""
    if kind < 0.2:
        return choice.randbytes(choice.randrange(60))
    if kind < 0.25:
        return b"[" * choice.choice((1, 5, 100_000))
    if kind < 0.3:
        return json.dumps([_members(choice) for _ in range(3)]).encode()
    data = bytearray(json.dumps(_members(choice)).encode())
    for _ in range(choice.choice((0, 0, 3))):
        data[choice.randrange(len(data))] = choice.randrange(256)
    return bytes(data)


def _members(choice: random.Random) -> dict[str, object]:
    return {name: choice.choice(VALUES) for name in choice.sample(NAMES, choice.randrange(6))}


@pytest.mark.parametrize("seed", range(3))
async def test_no_request_meets_a_fault(entrance: Entrance, seed: int) -> None:
    choice = random.Random(seed)
    for _ in range(2000):
        route = choice.choice(ROUTES_THAT_END)
        path = route.path + (choice.choice(ARGUMENTS) if route.path.endswith("/") else "")
        query, headers = choice.choice(QUERIES), {"accept": choice.choice(ACCEPTED)}
        peer = Peer("127.0.0.1", 1, True, (entrance.certificate,))
        request = Request(choice.choice(route.methods), path, path, query, headers, (), peer)
        body = _body(choice)
        answer = entrance(request, Body(body, choice.random() < 0.2))
        if not hasattr(answer, "status"):
            answer = await answer
        if answer.before is not None:
            answer.before()  # writes the audit line
        assert answer.status < 500, (request.method, path, query, body, answer.body)
