"""TLS of the standard library by memory BIO, for s3 and kms."""

import contextlib
import ssl
from pathlib import Path
from typing import Literal, cast

from ..errors import BadSettings
from ..messages import Buffer
from .channel import Broken, Channel, TlsContext

__all__ = ["SslChannel", "TlsContext", "server_tls"]

RECORD = 16 * 1024  # bytes: the most plaintext in a TLS record
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class SslChannel:
    """A Channel over ssl.SSLObject."""

    __slots__ = ("_in", "_object", "_out", "ended", "ready")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_side=True)
        self.ready = False
        self.ended = False

    def receive(self, data: Buffer) -> bytes:
        incoming, tls = self._in, self._object
        pieces: list[bytes] = []
        try:
            incoming.write(data)
            if not self.ready:
                tls.do_handshake()
                self.ready = True
            while piece := tls.read(RECORD):
                pieces.append(piece)
                if not (incoming.pending or tls.pending()):  # asking once more than there is costs an exception
                    return piece if len(pieces) == 1 else b"".join(pieces)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            raise Broken(error.reason or "TLS error", self._out.read()) from None
        return b"".join(pieces)

    def put(self, data: Buffer) -> None:
        self._in.write(data)

    def receive_into(self, view: memoryview) -> int:
        try:
            count = cast("int", self._object.read(len(view), view))  # typeshed says bytes
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLZeroReturnError:
            count = 0
        except ssl.SSLError as error:
            raise Broken(error.reason or "TLS error", self._out.read()) from None
        if not count:
            self.ended = True
        return count

    def outgoing(self) -> bytes:
        return self._out.read() if self._out.pending else b""

    def protect(self, data: Buffer) -> bytes:
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise Broken(error.reason or "TLS error") from None
        return self._out.read()

    def close(self) -> bytes:
        with contextlib.suppress(ssl.SSLError):  # the peer has not answered yet: what can be said lies in _out
            self._object.unwrap()
        return self._out.read()

    def certificates(self) -> tuple[bytes, ...]:
        leaf = self._object.getpeercert(binary_form=True)
        return (leaf,) if leaf else ()


def server_tls(
    cert_file: str | Path,
    key_file: str | Path,
    *,
    password: bytes | None = None,
    client_ca: str | Path | None = None,
    client_required: bool = True,
    min_version: Literal["1.2", "1.3"] = "1.2",
    max_version: Literal["1.2", "1.3"] = "1.3",
    ciphers: str = "",
) -> TlsContext:
    """Return the TLS of a listener; raise BadSettings when a file cannot be used.

    client_ca: a PEM file or a folder of them: clients show a certificate that it verifies (or none, when
    client_required is False). ciphers: OpenSSL's list for TLS 1.2; without it Python's. Compression and renegotiation
    are off, as Python has them.
    """

    def build() -> "_Maker":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = _VERSIONS[min_version], _VERSIONS[max_version]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        try:
            if ciphers:
                context.set_ciphers(ciphers)
            context.load_cert_chain(cert_file, key_file, password or b"")
            if client_ca is not None:
                ca = Path(client_ca)
                for file in sorted(ca.iterdir()) if ca.is_dir() else (ca,):
                    context.load_verify_locations(file)
                context.num_tickets = 0  # every connection shows its certificate
                context.options |= ssl.OP_NO_TICKET
                context.verify_mode = ssl.CERT_REQUIRED if client_required else ssl.CERT_OPTIONAL
        except (OSError, ValueError) as error:
            raise BadSettings(f"TLS files {cert_file}, {key_file}: {error}") from error
        return _Maker(context)

    return TlsContext(build)


class _Maker:
    """Makes channels; holds what they share."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def __call__(self) -> Channel:
        return SslChannel(self._context)
