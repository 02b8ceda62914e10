"""TLS: client certificates, reload, encrypted keys, plain HTTP on the TLS port, broken handshakes."""

import asyncio
import base64
import hashlib
import ssl

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from OpenSSL import SSL
from OpenSSL._util import ffi, lib

from strongroom.errors import BadSettings
from strongroom.messages import Response
from strongroom.net.pem import certificates, private_key
from strongroom.net.server import Limits
from strongroom.net.tls import server_tls
from strongroom.net.tls_openssl import any_client_tls

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def who(request, body):
    """Answer with the hashes of the certificates that the peer showed."""
    shown = [hashlib.sha256(der).hexdigest() for der in request.peer.certificates]
    return Response(200, (("X-Tls", str(request.peer.tls)),), " ".join(shown).encode())


def client(pair=None, chain=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair is not None:
        text = pair.cert_file.read_bytes() + b"".join(other.cert_file.read_bytes() for other in chain)
        file = pair.cert_file.with_suffix(f".{len(chain)}.chain")
        file.write_bytes(text)
        context.load_cert_chain(file, pair.key_file)
    return context


REFUSED = (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)


async def ask(connect, server, context):
    """Connect and ask once; TLS 1.3 tells a client of its refusal only with the first answer."""
    wire = await connect(server, context=context)
    wire.send(GET)
    return await wire.answer()


def digest(pair) -> bytes:
    return hashlib.sha256(pair.der).hexdigest().encode()


@pytest.fixture
def files(pairs):
    return pairs["server"].cert_file, pairs["server"].key_file


@pytest.mark.parametrize("name", ["client", "expired", "member", "ca"])
async def test_any_client_certificate_is_accepted_and_passed_on(serve, connect, files, pairs, name):
    server = await serve(who, tls=any_client_tls(*files))
    wire = await connect(server, context=client(pairs[name]))
    for _ in range(2):
        wire.send(GET)
        _, headers, body = await wire.answer()
        assert (headers["x-tls"], body) == ("True", digest(pairs[name]))


async def test_the_leaf_comes_first_whatever_the_client_adds(serve, connect, files, pairs):
    """A client may put a victim's certificate behind its own; the first one is the one it has the key of."""
    server = await serve(who, tls=any_client_tls(*files))
    wire = await connect(server, context=client(pairs["ca"], chain=(pairs["client"], pairs["member"])))
    wire.send(GET)
    body = (await wire.answer())[2].split()
    assert body[0] == digest(pairs["ca"])
    assert set(body[1:]) == {digest(pairs["client"]), digest(pairs["member"])}


async def test_a_required_certificate_is_required_in_the_handshake(serve, connect, files, pairs):
    server = await serve(who, tls=any_client_tls(*files))
    with pytest.raises(REFUSED):
        await ask(connect, server, client())
    optional = await serve(who, tls=any_client_tls(*files, require_certificate=False))
    wire = await connect(optional, context=client())
    wire.send(GET)
    assert (await wire.answer())[2] == b""


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("make", ["ssl", "openssl"])
async def test_a_pool_of_authorities_verifies(serve, connect, files, pairs, tmp_path, make, folder):
    ca = pairs["ca"].cert_file
    if folder:
        (tmp_path / "one.pem").write_bytes(ca.read_bytes())
        ca = tmp_path
    tls = (server_tls if make == "ssl" else any_client_tls)(*files, client_ca=ca)
    server = await serve(who, tls=tls)
    wire = await connect(server, context=client(pairs["member"]))
    wire.send(GET)
    assert (await wire.answer())[2] == digest(pairs["member"])
    for name in ("client", "expired"):
        with pytest.raises(REFUSED):
            await ask(connect, server, client(pairs[name]))


def test_authorities_are_not_announced(files):
    context = any_client_tls(*files)._make._context
    connection = SSL.Connection(context)
    assert connection.get_client_ca_list() == []


@pytest.mark.parametrize("kind", ["ssl", "openssl"])
async def test_plain_http_on_the_tls_port(serve, tls_of, kind):
    server = await serve(who, tls=tls_of(kind))
    for verb in (b"GET", b"POST", b"PUT", b"HEAD"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(verb + b" /v1/status HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == (
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        )
        writer.close()


@pytest.mark.parametrize("kind", ["ssl", "openssl"])
@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02", b"hello\r\n\r\n", b"\x00" * 600]
)
async def test_nonsense_on_the_tls_port_ends_the_connection(serve, tls_of, kind, data):
    server = await serve(who, tls=tls_of(kind), limits=Limits(head_seconds=0.3))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    try:
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer == b"" or answer[0] == 21, "an alert at most"
    except ConnectionError:
        pass
    writer.close()
    await asyncio.sleep(0.02)
    assert server.connections == 0


@pytest.mark.parametrize("make", [server_tls, any_client_tls])
async def test_reload_swaps_the_certificate_and_drops_nobody(serve, connect, pairs, tmp_path, make):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(pair):
        cert.write_bytes(pair.cert_file.read_bytes())
        key.write_bytes(pair.key_file.read_bytes())

    async def shown(wire):
        wire.send(GET)
        assert (await wire.answer())[0] == 200
        return wire.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    install(pairs["server"])
    tls = make(cert, key, **({"require_certificate": False} if make is any_client_tls else {}))
    server = await serve(who, tls=tls)
    old = await connect(server)
    assert await shown(old) == pairs["server"].der
    install(pairs["other"])
    tls.reload()
    new = await connect(server)
    assert await shown(new) == pairs["other"].der
    assert await shown(old) == pairs["server"].der
    cert.write_text("broken")
    with pytest.raises(BadSettings):
        tls.reload()
    assert await shown(await connect(server)) == pairs["other"].der
    tls.replace(make(pairs["server"].cert_file, pairs["server"].key_file))
    assert tls.channel() is not None


def handshake(context, port, **groups):
    """Shake hands by hand and return (group, flights, a later answer's bytes, the session)."""
    import socket

    connection = SSL.Connection(context)
    connection.set_connect_state()
    if session := groups.get("session"):
        connection.set_session(session)
    sock, flights = socket.create_connection(("127.0.0.1", port)), 0

    def flush():
        try:
            sock.sendall(connection.bio_read(65536))
        except SSL.WantReadError:
            return

    while True:
        try:
            connection.do_handshake()
            break
        except SSL.WantReadError:
            flush()
            data = sock.recv(65536)
            assert data
            connection.bio_write(data)
            flights += 1
    connection.send(GET)
    flush()
    answer = b""
    while not answer:
        try:
            answer = connection.recv(65536)
        except SSL.WantReadError:
            connection.bio_write(sock.recv(65536))
    sock.close()
    group = ffi.string(lib.SSL_get0_group_name(connection._ssl)).decode()
    return group, flights, answer, connection.get_session(), lib.SSL_session_reused(connection._ssl)


@pytest.mark.parametrize(
    ("offered", "group"),
    [
        (b"X25519MLKEM768:X25519", "X25519MLKEM768"),
        (b"X25519", "x25519"),
        (b"P-256:X25519", "secp256r1"),
        (b"P-384", "secp384r1"),
    ],
)
async def test_groups_cost_no_second_round_trip(serve, files, pairs, offered, group):
    if group == "X25519MLKEM768" and SSL.OPENSSL_VERSION_NUMBER < 0x30500000:
        pytest.skip("cryptography's OpenSSL is older than 3.5: pip install -U cryptography")
    server = await serve(who, tls=any_client_tls(*files))
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    assert lib.SSL_CTX_set1_curves_list(context._context, offered) == 1
    context.use_certificate_file(str(pairs["client"].cert_file))
    context.use_privatekey_file(str(pairs["client"].key_file))
    found, flights, answer, _, _ = await asyncio.to_thread(handshake, context, server.port)
    assert (found, flights) == (group, 1)
    assert answer.endswith(digest(pairs["client"]))


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
async def test_sessions_are_never_resumed_so_that_every_connection_shows_its_certificate(serve, files, pairs, version):
    server = await serve(who, tls=any_client_tls(*files))
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(version)
    context.set_session_cache_mode(SSL.SESS_CACHE_CLIENT)
    context.use_certificate_file(str(pairs["client"].cert_file))
    context.use_privatekey_file(str(pairs["client"].key_file))
    *_, session, _ = await asyncio.to_thread(handshake, context, server.port)
    assert session is not None
    _, _, answer, _, reused = await asyncio.to_thread(lambda: handshake(context, server.port, session=session))
    assert not reused
    assert answer.endswith(digest(pairs["client"]))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")  # which is what is tried
@pytest.mark.parametrize("make", [server_tls, any_client_tls])
async def test_old_versions_are_refused(serve, connect, files, make):
    server = await serve(who, tls=make(*files))
    context = client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(server, context=context)


@pytest.mark.parametrize("make", [server_tls, any_client_tls])
def test_files_that_cannot_be_used(pairs, tmp_path, make):
    with pytest.raises(BadSettings):
        make(tmp_path / "none.pem", pairs["server"].key_file)
    with pytest.raises(BadSettings):
        make(pairs["server"].cert_file, tmp_path / "none.pem")
    with pytest.raises(BadSettings):
        make(pairs["server"].cert_file, pairs["other"].key_file)


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key, form, password=None):
    cover = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, cover)


def number(key):
    return key.private_numbers().private_value


def test_private_keys_in_the_clear(key):
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        text = pem_of(key, form)
        assert number(private_key(text)) == number(key)
        assert number(private_key(b"# a comment\n" + text.replace(b"\n", b"\r\n"), b"ignored")) == number(key)
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert number(private_key(parameters + text)) == number(key)


def legacy(key, kind: bytes, algorithm: bytes, password: bytes) -> bytes:
    """Encrypt as RFC 1423 does, whatever the block's name."""
    iv = bytes(range(1, 17)) if algorithm.startswith(b"AES") else bytes(range(1, 9))
    size = {b"AES-128-CBC": 16, b"AES-192-CBC": 24, b"AES-256-CBC": 32, b"DES-EDE3-CBC": 24, b"DES-CBC": 8}[algorithm]
    secret = step = b""
    while len(secret) < size:
        step = hashlib.md5(step + password + iv[:8]).digest()
        secret += step
    forms = serialization.PrivateFormat
    form = forms.PKCS8 if kind == b"PRIVATE KEY" else forms.TraditionalOpenSSL
    der = key.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())
    block = len(iv)
    der += bytes([block - len(der) % block]) * (block - len(der) % block)
    if algorithm.startswith(b"AES"):
        cipher = algorithms.AES(secret[:size])
    else:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES

        cipher = TripleDES(secret[:size] * (3 if size == 8 else 1))
    encryptor = Cipher(cipher, modes.CBC(iv)).encryptor()
    text = base64.encodebytes(encryptor.update(der) + encryptor.finalize())
    head = b"Proc-Type: 4,ENCRYPTED\nDEK-Info: %b,%b\n\n" % (algorithm, iv.hex().upper().encode())
    return b"-----BEGIN %b-----\n" % kind + head + text + b"-----END %b-----\n" % kind


@pytest.mark.parametrize("kind", [b"EC PRIVATE KEY", b"PRIVATE KEY"])
@pytest.mark.parametrize("algorithm", [b"AES-128-CBC", b"AES-192-CBC", b"AES-256-CBC", b"DES-EDE3-CBC", b"DES-CBC"])
def test_private_keys_encrypted_the_old_way(key, kind, algorithm):
    text = legacy(key, kind, algorithm, b"pass word")
    assert number(private_key(text, b"pass word")) == number(key)
    with pytest.raises(BadSettings, match="password required"):
        private_key(text)
    with pytest.raises(BadSettings, match="failed to parse private key"):
        private_key(text, b"wrong")


def test_what_cryptography_encrypts(key):
    pkcs8 = pem_of(key, serialization.PrivateFormat.PKCS8, b"pw")
    old = pem_of(key, serialization.PrivateFormat.TraditionalOpenSSL, b"pw")
    for text in (pkcs8, old):
        assert number(private_key(text, b"pw")) == number(key)
        with pytest.raises(BadSettings):
            private_key(text, b"pv")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"-----BEGIN X-----\nAAAA\n-----END X-----\n",
        b"-----BEGIN PRIVATE KEY-----\n!!\n-----END PRIVATE KEY-----\n",
    ],
)
def test_no_private_key(text):
    with pytest.raises(BadSettings):
        private_key(text)


def test_certificate_files(pairs):
    text = pairs["server"].cert_file.read_bytes()
    both = text + pairs["ca"].cert_file.read_bytes()
    assert [found.serial_number for found in certificates(both)] == [
        pairs["server"].certificate.serial_number, pairs["ca"].certificate.serial_number
    ]  # fmt: skip
    assert len(certificates(b"\n  \nSubject: x\n" + text + b"\n \n")) == 1
    for broken in (b"", b"x", text + b"trailing", text + pairs["server"].key_file.read_bytes()):
        with pytest.raises(BadSettings):
            certificates(broken)


async def test_an_encrypted_key_serves(serve, connect, pairs, tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(legacy(pairs["server"].key, b"PRIVATE KEY", b"AES-256-CBC", b"secret"))
    tls = any_client_tls(pairs["server"].cert_file, path, password=b"secret", require_certificate=False)
    server = await serve(who, tls=tls)
    wire = await connect(server)
    wire.send(GET)
    assert (await wire.answer())[0] == 200
