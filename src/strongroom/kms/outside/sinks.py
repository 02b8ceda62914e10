"""Where audit lines go: a file, standard output, a socket, syslog, nowhere (vault.md 11)."""

import os
import socket
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from strongroom.errors import Tampered
from strongroom.kms.domain.errors import Refused
from strongroom.kms.outside.chain import Chain, verify

FACILITIES = {"AUTH": 4, "AUTHPRIV": 10, "DAEMON": 3, "USER": 1, **{f"LOCAL{n}": 16 + n for n in range(8)}}
NOTICE = 5
TIMEOUT = 2.0  # seconds that a stuck socket may hold a request up


class FileSink:
    """Appends to a file of its own mode, 0600 unless told otherwise, with its chain beside it."""

    def __init__(self, path: Path, mode: int, key: bytes) -> None:
        self.path, self.mode = path, mode
        self._key = key
        self._descriptor = -1
        self._chain: Chain | None = None
        self.reopen()

    def write(self, line: bytes) -> None:
        """Append one line, in one write but on a full disk; what such a disk took of it is taken back."""
        written = os.write(self._descriptor, line)
        if written != len(line):
            self._finish(line, written)
        if self._chain is not None:
            self._chain.add(line)

    def _finish(self, line: bytes, written: int) -> None:
        """Append the rest of a line, or cut off its beginning and raise OSError: half a line would break the chain."""
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            if self._chain is not None:  # a regular file
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise

    def seal(self) -> None:
        """Append what the chain has gathered; called about once a second."""
        if self._chain is not None:
            self._chain.seal()

    def verify(self) -> tuple[int, int]:
        """Return (bytes proven by the chain, bytes after them); raise Tampered."""
        self.seal()
        return verify(self.path, self._key)

    def reopen(self) -> None:
        """Open the file under its name; the old one is let go of. Raises OSError or Tampered, and goes on with it."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, self.mode)
        try:
            if self._chain is not None:
                self._chain.close()
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            chain = Chain(self.path, self._key) if regular and self._key else None
        except BaseException:
            os.close(descriptor)
            raise
        old, self._descriptor, self._chain = self._descriptor, descriptor, chain
        if old >= 0:
            os.close(old)

    def close(self) -> None:
        """Close the file and its chain."""
        if self._chain is not None:
            self._chain.close()
            self._chain = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class OutputSink:
    """Writes to standard output."""

    def write(self, line: bytes) -> None:
        """Write one line."""
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def reopen(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""


class NowhereSink(OutputSink):
    """Drops lines (`discard`)."""

    def write(self, line: bytes) -> None:
        """Drop one line."""


class SocketSink:
    """Sends lines to a TCP, UDP or Unix socket; connects again after a failure."""

    def __init__(self, address: str, kind: str) -> None:
        self.address, self.kind = address, kind
        self._socket: socket.socket | None = None

    def _connect(self) -> socket.socket:
        if self.kind == "unix":
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target: str | tuple[str, int] = self.address
        else:
            host, _, port = self.address.rpartition(":")
            made = socket.socket(type=socket.SOCK_DGRAM if self.kind == "udp" else socket.SOCK_STREAM)
            target = (host, int(port))
        made.settimeout(TIMEOUT)
        try:
            made.connect(target)
        except OSError:
            made.close()
            raise
        return made

    def write(self, line: bytes) -> None:
        """Send one line; a broken connection is made once more."""
        try:
            self._socket = self._socket or self._connect()
            self._socket.sendall(line)
        except OSError:
            self.close()
            self._socket = self._connect()
            self._socket.sendall(line)

    def reopen(self) -> None:
        """Connect anew at the next line."""
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SyslogSink:
    """Sends lines to the machine's syslog."""

    def __init__(self, facility: str, tag: str) -> None:
        self._head = f"<{FACILITIES[facility] * 8 + NOTICE}>{tag}: ".encode()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect("/dev/log")

    def write(self, line: bytes) -> None:
        """Send one line."""
        self._socket.send(self._head + line.rstrip(b"\n"))

    def reopen(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


def open_sink(
    kind: str, options: Mapping[str, str], key: bytes = b""
) -> FileSink | OutputSink | SocketSink | SyslogSink:
    """Open a device's sink; key seals a file's chain. Raises Refused with the protocol's texts."""
    if kind not in ("file", "socket", "syslog"):
        raise Refused(f'unknown backend type: "{kind}"')
    form = options.get("format", "json")
    if kind == "file":
        path = options.get("file_path") or options.get("path", "")
        if not path:
            raise Refused("file_path is required")
    if form not in ("json", ""):
        raise Refused(f'unknown format type "{form}"')
    try:
        if kind == "socket":
            return _open_socket(options)
        if kind == "syslog":
            return SyslogSink(options.get("facility", "AUTH"), options.get("tag", "vault"))
    except (OSError, KeyError) as error:
        raise Refused(f"sanity check failed; {error}") from error
    return _open_file(path, options, key)


def _open_socket(options: Mapping[str, str]) -> SocketSink:
    address, kind = options.get("address", ""), options.get("socket_type", "tcp")
    if not address:
        raise Refused("address is required")
    if kind not in ("tcp", "udp", "unix"):
        raise Refused(f"unknown socket type {kind}")
    return SocketSink(address, kind)


def _open_file(path: str, options: Mapping[str, str], key: bytes) -> FileSink | OutputSink:
    if path == "stdout":
        return OutputSink()
    if path == "discard":
        return NowhereSink()
    try:
        folder = Path(path).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileSink(Path(path), int(options.get("mode") or "0600", 8) or 0o600, key)
    except OSError as error:
        what = f"mkdir {error.filename}" if error.filename != path else f"open {path}"
        text = (error.strerror or "").lower()
        raise Refused(f'sanity check failed; unable to open "{path}" for writing: {what}: {text}') from error
    except Tampered as error:
        raise Refused(f"sanity check failed; {error}: keep the file and begin a new one") from error
    except ValueError as error:
        raise Refused(f"invalid mode {options.get('mode')}") from error
