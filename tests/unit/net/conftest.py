"""Servers, raw connections and a transport without a socket, for the tests of net."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from strongroom.messages import Response
from strongroom.net.connection import Connection
from strongroom.net.server import Limits, Server, listen, plain_refusal
from strongroom.net.shared import Shared
from strongroom.net.tls import server_tls
from strongroom.net.tls_openssl import any_client_tls
from strongroom.net.transfer import Pool

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
BOTH = {"test_net_answers.py", "test_net_bodies.py"}  # what these try depends on how a loop reads and writes


def pytest_asyncio_loop_factories(config, item):
    """Run the tests of some files on uvloop, as the servers are, and on asyncio's own loop; the others on that."""
    return LOOPS if item.path.name in BOTH else {"asyncio": LOOPS["asyncio"]}


NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@dataclass
class Pair:
    """A certificate and its key, in memory and as files."""

    certificate: x509.Certificate
    key: object
    cert_file: Path
    key_file: Path

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def make_pair(folder, name, *, issuer=None, ca=False, expired=False, kind="ec", san=True):
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else ed25519.Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    end = now - datetime.timedelta(days=1) if expired else now + datetime.timedelta(days=30)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=90))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca, None), True)
    )
    if san:
        import ipaddress

        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    certificate = builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    pair = Pair(certificate, key, folder / f"{name}.pem", folder / f"{name}-key.pem")
    pair.cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pair


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Certificates by name: server, other (servers), client (self-signed Ed25519), expired, ca, member (of ca)."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = make_pair(folder, "ca", ca=True)
    return {
        "server": make_pair(folder, "server"),
        "other": make_pair(folder, "other"),
        "client": make_pair(folder, "client", kind="ed25519"),
        "expired": make_pair(folder, "expired", expired=True),
        "ca": ca,
        "member": make_pair(folder, "member", issuer=ca),
    }


@pytest.fixture
def tls_of(pairs):
    """Return the server's TLS of a kind: plain, ssl or openssl."""

    def make(kind):
        files = (pairs["server"].cert_file, pairs["server"].key_file)
        if kind == "ssl":
            return server_tls(*files)
        return any_client_tls(*files, require_certificate=False) if kind == "openssl" else None

    return make


@pytest.fixture(params=["plain", "ssl", "openssl"])
def kind(request):
    """Run a test over plain HTTP and over both TLS implementations."""
    return request.param


@pytest.fixture
def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Serving:
    """Starts servers for a test and stops them after it."""

    servers: list[Server] = field(default_factory=list)

    async def __call__(self, handler, **settings) -> Server:
        server = await listen(handler, "127.0.0.1", 0, **settings)
        self.servers.append(server)
        return server


@pytest.fixture
async def serve() -> AsyncIterator[Serving]:
    serving = Serving()
    yield serving
    for server in serving.servers:
        await server.stop(0.2)
        assert server.connections == 0


class Wire:
    """A raw client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, *, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Read one whole answer: status, headers, body."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(first.split()[1])
        if head_only or status in {100, 204, 304}:
            return status, headers, b""
        if "transfer-encoding" in headers:
            return status, headers, await self._chunks()
        length = headers.get("content-length")
        body = self.reader.readexactly(int(length)) if length is not None else self.reader.read()
        return status, headers, await asyncio.wait_for(body, 30)

    async def _chunks(self) -> bytes:
        whole = b""
        while True:
            size = int(await asyncio.wait_for(self.reader.readline(), 10), 16)
            whole += (await asyncio.wait_for(self.reader.readexactly(size + 2), 10))[:-2]
            if not size:
                return whole

    async def ended(self) -> bytes:
        """Return what comes until the peer closes; a reset counts as closing."""
        try:
            return await asyncio.wait_for(self.reader.read(), 10)
        except ConnectionError:
            return b"reset"

    def close(self) -> None:
        self.writer.close()


@pytest.fixture
async def connect(client_context) -> AsyncIterator[Callable[..., Awaitable[Wire]]]:
    """Return a function that opens a raw connection to a server, with TLS when it has TLS."""
    wires: list[Wire] = []

    async def open_wire(server: Server, *, context: ssl.SSLContext | None = None, limit: int = 2**16) -> Wire:
        tls = (context or client_context) if server.tls is not None else None
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls, limit=limit)
        wires.append(Wire(reader, writer))
        return wires[-1]

    yield open_wire
    for wire in wires:
        wire.writer.transport.abort()
    await asyncio.sleep(0)


class MemoryTransport(asyncio.Transport):
    """A transport that keeps what is written. Who looks at `written` ends the turn of the loop."""

    def __init__(self, end_turn: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self._end_turn = end_turn
        self.closed = False
        self.finished = False

    def get_extra_info(self, name, default=None):
        return self if name == "socket" else ("192.0.2.1", 4711)

    def fileno(self):
        return -1

    def setsockopt(self, *_):
        pass

    def write(self, data):
        self.pieces.append(bytes(data))

    @property
    def written(self):
        self._end_turn()
        return bytearray(b"".join(self.pieces))

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, *_):
        pass

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.finished = True

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class Unlooped:
    """A loop for connections whose handlers never wait."""

    def __init__(self):
        self._soon = []

    def call_soon(self, callback):
        self._soon.append(callback)

    def end_turn(self):
        soon, self._soon = self._soon, []
        for callback in soon:
            callback()

    def time(self):
        return 0.0

    def create_task(self, coroutine):
        coroutine.close()
        raise AssertionError("a task where none is needed")


@pytest.fixture
def in_memory():
    """Return a function that makes a connection over a MemoryTransport: (connection, transport)."""
    pool = Pool(1)

    def make(handler, *, limits=None, verbs=frozenset(), loop=None):
        unlooped = Unlooped()
        shared = Shared(handler, limits or Limits(), verbs, plain_refusal, None, pool, loop or unlooped)
        connection, transport = Connection(shared), MemoryTransport(unlooped.end_turn)
        connection.connection_made(transport)
        return connection, transport

    yield make
    pool.stop()


@pytest.fixture
def ok():
    """A handler that answers with what it was asked."""

    def handler(request, body):
        text = f"{request.method} {request.target} {len(body.buffered or b'')}"
        return Response(200, (("Content-Type", "text/plain"),), text.encode())

    return handler
