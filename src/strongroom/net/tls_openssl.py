"""TLS of kes: OpenSSL's own functions, through pyOpenSSL, on buffers that are reused.

Why not `ssl`: a key server must ask for a client certificate and accept a self-signed or expired one, to judge it by
its public key. Python's `ssl` has no verify callback and refuses those in the handshake. Why not pyOpenSSL's
Connection for the reads and writes: its checks cost as much as a whole data-key request (see docs/decisions/net.md).
"""

import threading
from pathlib import Path
from typing import Any, Final

from OpenSSL import SSL, crypto
from OpenSSL._util import ffi, lib

from ..errors import BadSettings
from ..messages import Buffer
from .channel import Broken, Channel, TlsContext
from .pem import certificates, private_key, read_pem

RECORD: Final = 16 * 1024  # bytes: the most plaintext in a TLS record
SCRATCH: Final = RECORD + 1024  # bytes: a record with what TLS adds
# looked up once: they are called several times for every request
_read, _write, _put, _take = lib.SSL_read, lib.SSL_write, lib.BIO_write, lib.BIO_read
_held, _clear, _buffer = lib.BIO_get_mem_data, lib.ERR_clear_error, ffi.buffer
_GROUPS = (
    b"X25519MLKEM768:X25519:secp256r1:secp384r1:secp521r1",  # hybrid post-quantum first, for clients that offer it
    b"X25519:secp256r1:secp384r1:secp521r1",  # an OpenSSL before 3.5
)


class _Scratch(threading.local):
    """Where OpenSSL writes; one for each thread, because the calls release the GIL."""

    def __init__(self) -> None:
        self.data = ffi.new("char[]", SCRATCH)
        self.pointer = ffi.new("char **")


_scratch = _Scratch()


class OpenSslChannel:
    """A Channel over an SSL object of OpenSSL with memory BIOs."""

    __slots__ = ("_connection", "_in", "_out", "_ssl", "ended", "ready")

    def __init__(self, context: SSL.Context) -> None:
        connection: Any = SSL.Connection(context)  # it owns the memory, and we use what it made
        connection.set_accept_state()
        self._connection = connection
        self._ssl, self._in, self._out = connection._ssl, connection._into_ssl, connection._from_ssl
        self.ready = False
        self.ended = False

    def receive(self, data: Buffer) -> bytes:
        scratch = _scratch
        if data:
            self.put(data)
        _clear()  # a stale error of this thread would be taken for ours
        if not self.ready:
            if (result := lib.SSL_do_handshake(self._ssl)) != 1:
                self._explain(result)
                return b""
            self.ready = True
        # a record fits into the scratch, so nothing is left when the BIO is empty
        count = _read(self._ssl, scratch.data, RECORD)
        if count > 0 and not _held(self._in, scratch.pointer):
            return _buffer(scratch.data, count)[:]  # type: ignore[no-any-return]
        pieces = []
        while count > 0:
            pieces.append(_buffer(scratch.data, count)[:])
            count = _read(self._ssl, scratch.data, RECORD)
        self._explain(count)
        return b"".join(pieces)

    def _explain(self, result: int) -> None:
        """Return when more wire bytes will help; note the peer's farewell; raise Broken for anything else."""
        kind = lib.SSL_get_error(self._ssl, result)
        if kind == lib.SSL_ERROR_WANT_READ:
            return
        if kind == lib.SSL_ERROR_ZERO_RETURN:
            self.ended = True
            return
        code = lib.ERR_get_error()
        reason = lib.ERR_reason_error_string(code) if code else ffi.NULL
        lib.ERR_clear_error()
        raise Broken(ffi.string(reason).decode() if reason != ffi.NULL else "TLS error", self.outgoing())

    def put(self, data: Buffer) -> None:
        if isinstance(data, bytes):
            _put(self._in, data, len(data))
            return
        with ffi.from_buffer(data) as pointer:
            lib.BIO_write(self._in, pointer, len(data))

    def receive_into(self, view: memoryview) -> int:
        lib.ERR_clear_error()
        with ffi.from_buffer(view, require_writable=True) as pointer:
            result: int = lib.SSL_read(self._ssl, pointer, len(view))
        if result > 0:
            return result
        self._explain(result)
        return 0

    def outgoing(self) -> bytes:
        scratch = _scratch
        count = _take(self._out, scratch.data, SCRATCH)
        if count <= 0:
            return b""
        first: bytes = _buffer(scratch.data, count)[:]
        return first if count < SCRATCH else first + self._rest()

    def _rest(self) -> bytes:
        size = lib.BIO_get_mem_data(self._out, _scratch.pointer)
        if size <= 0:
            return b""
        buffer = ffi.new("char[]", size)
        return bytes(ffi.buffer(buffer, lib.BIO_read(self._out, buffer, size)))

    def protect(self, data: Buffer) -> bytes:
        if not data:
            return b""
        if isinstance(data, bytes):
            result = _write(self._ssl, data, len(data))
        else:
            with ffi.from_buffer(data) as pointer:
                result = _write(self._ssl, pointer, len(data))
        if result <= 0:
            self._explain(result)
            raise Broken("nothing can be written in this state")
        return self.outgoing()

    def close(self) -> bytes:
        lib.ERR_clear_error()
        lib.SSL_shutdown(self._ssl)
        lib.ERR_clear_error()
        return self.outgoing()

    def certificates(self) -> tuple[bytes, ...]:
        """Return the leaf, whose key the handshake proved, then what else the client showed."""
        leaf = lib.SSL_get_peer_certificate(self._ssl)
        if leaf == ffi.NULL:
            return ()
        try:
            first = _der(leaf)
        finally:
            lib.X509_free(leaf)
        chain = lib.SSL_get_peer_cert_chain(self._ssl)  # borrowed
        count = 0 if chain == ffi.NULL else lib.sk_X509_num(chain)
        others = [_der(lib.sk_X509_value(chain, at)) for at in range(count)]
        return (first, *(other for other in others if other != first))


def _der(certificate: Any) -> bytes:
    """Return the DER of an X509, without the detour over a parsed certificate (15 us each)."""
    bio = lib.BIO_new(lib.BIO_s_mem())
    try:
        lib.i2d_X509_bio(bio, certificate)
        size = lib.BIO_get_mem_data(bio, _scratch.pointer)
        return bytes(ffi.buffer(_scratch.pointer[0], size))
    finally:
        lib.BIO_free(bio)


def any_client_tls(
    cert_file: str | Path | bytes,
    key_file: str | Path | bytes,
    *,
    password: bytes | None = None,
    require_certificate: bool = True,
    client_ca: str | Path | bool | None = None,
    system_roots: bool = True,
) -> TlsContext:
    """Return the TLS of a listener that asks clients for a certificate and accepts any; raise BadSettings.

    The handshake proves that the client has the certificate's private key, nothing else: chain, dates and use are
    not looked at, and no authority names are sent. require_certificate: a client without one is refused in the
    handshake. cert_file, key_file: paths, or PEM bytes. No session is ever resumed, so that every connection shows
    its certificate. Sources: kes.md 2.2, settled.md "kes".

    client_ca: verify the client's chain, dates and use against this PEM file or folder of them, and, with
    system_roots, against the system's roots as well; True: against the system's roots alone.
    """

    def build() -> "_Maker":
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_alpn_select_callback(_alpn)
        # pyOpenSSL turns it on; with memory BIOs a write is always whole, and protect relies on that
        lib.SSL_CTX_clear_mode(context._context, lib.SSL_MODE_ENABLE_PARTIAL_WRITE)
        _set_groups(context)
        _set_certificate(context, read_pem(cert_file), read_pem(key_file), password)
        mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if require_certificate else 0)
        if client_ca is None or client_ca is False:
            lib.SSL_CTX_set_verify(context._context, mode, _accept)
        else:
            _trust(context, None if client_ca is True else Path(client_ca), system_roots=system_roots)
            context.set_verify(mode)
        return _Maker(context)

    return TlsContext(build)


class _Maker:
    """Makes channels; holds what they share."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def __call__(self) -> Channel:
        return OpenSslChannel(self._context)


def _accept_any(_: int, store: Any) -> int:
    """Any certificate will do; the box judges it by its public key."""
    lib.X509_STORE_CTX_set_error(store, lib.X509_V_OK)
    return 1


_accept = ffi.callback("int (*)(int, X509_STORE_CTX *)", _accept_any)  # pyOpenSSL's own wrapper costs 10 us more


def _alpn(_: SSL.Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _set_groups(context: SSL.Context) -> None:
    for groups in _GROUPS:
        if lib.SSL_CTX_set1_curves_list(context._context, groups) == 1:
            return
    lib.ERR_clear_error()


def _set_certificate(context: SSL.Context, cert: bytes, key: bytes, password: bytes | None) -> None:
    leaf, *chain = certificates(cert)
    try:
        context.use_certificate(leaf)
        for certificate in chain:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(private_key(key, password))
        context.check_privatekey()
    except SSL.Error as error:
        raise BadSettings("tls: private key does not match public key") from error


def _trust(context: SSL.Context, ca: Path | None, *, system_roots: bool) -> None:
    store = context.get_cert_store()
    if store is None:
        raise BadSettings("TLS: no store of trusted certificates")
    if system_roots:
        context.set_default_verify_paths()
    if ca is None:
        return
    for file in sorted(ca.iterdir()) if ca.is_dir() else (ca,):
        for certificate in certificates(read_pem(file)):
            store.add_cert(crypto.X509.from_cryptography(certificate))
