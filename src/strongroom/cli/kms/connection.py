"""One HTTP exchange over the standard library, with errors in the words people know from Go's client."""

import http.client
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from strongroom.cli.kms.faults import Fault, ServerFault
from strongroom.cli.kms.settings import Settings

MAX_ANSWER = 64 * 1024 * 1024  # bytes; a server's largest answer is 32 MiB
_UNTRUSTED = {18, 19, 20, 21}  # X509_V_ERR_*: self-signed, self-signed in chain, no issuer, cannot verify the leaf
_EXPIRED = {9, 10}
_PORTS = {"https": 443, "http": 80}


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; the path is the host."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _TlsConnection(http.client.HTTPSConnection):
    """HTTPS that may expect another name in the certificate than the host's."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, timeout: float, server_name: str) -> None:
        super().__init__(host, port, context=context, timeout=timeout)
        self._context_of_call = context
        self._server_name = server_name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)  # plain; a proxy's tunnel is made here as well
        name = self._server_name or getattr(self, "_tunnel_host", None) or self.host
        self.sock = self._context_of_call.wrap_socket(self.sock, server_hostname=name)


def split_address(address: str) -> SplitResult:
    """Return the parts of an address; raise ServerFault when it is none."""
    try:
        split = urlsplit(address)
        _ = split.port  # reading it is what checks it
    except ValueError as error:
        raise ServerFault(f'parse "{address}": {error}') from None
    return split


def open_connection(settings: Settings, url: SplitResult) -> http.client.HTTPConnection:
    """Return a connection, not yet made, for the address of a URL; raise ServerFault for a strange scheme."""
    if url.scheme == "unix":
        return _UnixConnection(url.path, settings.timeout_seconds)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ServerFault(f'unsupported protocol scheme "{url.scheme}"')
    port = url.port or _PORTS[url.scheme]
    proxy = _proxy(settings, url)
    host, at = (proxy.hostname or "", proxy.port or 3128) if proxy else (url.hostname, port)
    if url.scheme == "http":
        return http.client.HTTPConnection(host, at, timeout=settings.timeout_seconds)
    connection = _TlsConnection(host, at, tls_context(settings), settings.timeout_seconds, settings.server_name)
    if proxy:
        connection.set_tunnel(url.hostname, port)
    return connection


def _proxy(settings: Settings, url: SplitResult) -> SplitResult | None:
    """Return the proxy to use: the setting, or the usual variables, which need the import of urllib.request."""
    if settings.proxy:
        return urlsplit(settings.proxy)
    if url.scheme == "https" and url.hostname not in ("127.0.0.1", "::1", "localhost"):
        import os

        name = next((os.environ[n] for n in ("HTTPS_PROXY", "https_proxy") if os.environ.get(n)), "")
        if name:
            from urllib.request import proxy_bypass

            return None if proxy_bypass(url.hostname or "") else urlsplit(name)
    return None


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return the TLS settings of a call; raise Fault when a certificate file cannot be used."""
    if settings.skip_verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the system's roots, which take 20 ms to load
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = _trusting(settings)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if settings.client_cert:
            context.load_cert_chain(settings.client_cert, settings.client_key)
    except (OSError, ssl.SSLError) as error:
        raise Fault(f"failed to read environment: Error loading the client certificate: {error}") from None
    return context


def _trusting(settings: Settings) -> ssl.SSLContext:
    """Return a context that trusts the certificates named, the system's if none is."""
    if not (settings.ca_cert or settings.ca_path or settings.ca_text):
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if settings.ca_cert or settings.ca_text:
            context.load_verify_locations(cafile=settings.ca_cert or None, cadata=settings.ca_text or None)
        if settings.ca_path:
            _load_folder(context, settings.ca_path)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise Fault(f"failed to read environment: Error loading CA File: {error}") from None
    return context


def _load_folder(context: ssl.SSLContext, folder: str) -> None:
    """Trust every PEM file of a folder; OpenSSL alone would want hashed names."""
    from pathlib import Path

    for path in sorted(Path(folder).iterdir()):
        if path.suffix in (".pem", ".crt", ".cert", ".cer"):
            context.load_verify_locations(cafile=str(path))


def explain(error: Exception, url: SplitResult) -> str:
    """Return what went wrong on the way to a server, in the words of Go's net packages."""
    where = url.path if url.scheme == "unix" else f"{url.hostname}:{url.port or _PORTS.get(url.scheme)}"
    words = next((words for kinds, words in _WORDS if isinstance(error, kinds)), None)
    if words is not None:
        return words(error, url, where)
    reason = getattr(error, "strerror", None) or str(error)
    return f"dial {where}: {reason.lower()}"


def _certificate_words(error: ssl.SSLCertVerificationError, url: SplitResult) -> str:
    if error.verify_code in _UNTRUSTED:
        return "certificate signed by unknown authority"
    if error.verify_code in _EXPIRED:
        return "certificate has expired or is not yet valid"
    if "mismatch" in str(error.verify_message):
        return f"certificate is not valid for {url.hostname}"
    return str(error.verify_message)


def _tls_words(error: ssl.SSLError) -> str:
    reason = str(error.reason or error)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "http: server gave HTTP response to HTTPS client"
    if "CERTIFICATE_REQUIRED" in reason:
        return "remote error: tls: certificate required"
    return f"tls: {reason.replace('_', ' ').lower()}"


_BROKEN = (http.client.RemoteDisconnected, ConnectionResetError, http.client.IncompleteRead)

# The first row whose kinds fit the error gives its words; specific kinds come before those that they derive from.
_WORDS: tuple[tuple[Any, Callable[[Any, SplitResult, str], str]], ...] = (
    (ConnectionRefusedError, lambda error, url, where: f"dial tcp {where}: connect: connection refused"),
    (socket.gaierror, lambda error, url, where: f"dial tcp: lookup {url.hostname}: no such host"),
    (
        ssl.SSLCertVerificationError,
        lambda error, url, where: f"tls: failed to verify certificate: x509: {_certificate_words(error, url)}",
    ),
    (ssl.SSLError, lambda error, url, where: _tls_words(error)),
    (TimeoutError, lambda error, url, where: "context deadline exceeded"),
    (_BROKEN, lambda error, url, where: "EOF"),
    (http.client.HTTPException, lambda error, url, where: f"malformed HTTP response: {error!r}"),
)
