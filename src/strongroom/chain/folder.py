"""The folder that `strongroom up` keeps everything in: which file is where, and whether the folder is ours.

strongroom.json      format and addresses (docs/formats/chain-folder.md)
certs/               certificates, readable: ca.crt, kms.crt, kes.crt, s3/public.crt, …
secrets/             0700: private keys, unseal material, the operator's token, the root password
kms/ kes/ s3/        each box's configuration and data
logs/                what each box writes to standard error
"""

import fcntl
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from strongroom.errors import BadSettings

FORMAT = 1
MARKER = "strongroom.json"
NEW = ".new"  # behind the name of a file that is being written
FOLDERS = ("certs", "certs/s3", "certs/s3/CAs", "secrets", "kms", "kes", "s3", "logs")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a box listens. host is what clients on this machine connect to when it listens everywhere."""

    listen: str
    port: int

    @property
    def host(self) -> str:
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.listen, self.listen)

    def url(self, scheme: str = "https") -> str:
        """Return the address as clients write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    def __str__(self) -> str:
        return f"[{self.listen}]:{self.port}" if ":" in self.listen else f"{self.listen}:{self.port}"

    @classmethod
    def parse(cls, text: str, what: str) -> "Address":
        """Read HOST:PORT (IPv6 in brackets); raise BadSettings naming the option."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdigit() or not 0 < int(port) < 65536:
            raise BadSettings(f"{what} {text!r} is not HOST:PORT; try 127.0.0.1:9000")
        return cls(host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port))


@dataclass(frozen=True, slots=True)
class Chain:
    """The settings that a folder was made with, as strongroom.json keeps them."""

    kms: str
    kes: str
    s3: str
    s3_tls: bool
    root_user: str
    format: int = FORMAT

    def address(self, box: str) -> Address:
        """Return where a box ("kms", "kes", "s3") listens."""
        return Address.parse(getattr(self, box), f"{MARKER}: {box}")

    def s3_url(self) -> str:
        return self.address("s3").url("https" if self.s3_tls else "http")


class Folder:
    """Paths in a chain's folder. Making one touches nothing."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def secret(self, name: str) -> Path:
        """Return the path of a file that only its owner may read."""
        return self.path / "secrets" / name

    def load(self) -> Chain | None:
        """Return the settings of an existing chain, None for a folder that is empty or not there.

        Raises BadSettings when the folder is something else, or open to others.
        """
        if not self.path.exists():
            return None
        if not self.path.is_dir():
            raise BadSettings(f"{self.path} is a file; name a folder")
        marker = self.path / MARKER
        if not marker.exists():
            if any(name != MARKER + NEW for name in os.listdir(self.path)):
                raise BadSettings(
                    f"{self.path} holds something else (no {MARKER} in it); name an empty or a new folder"
                )
            return None
        self._check_private()
        try:
            return Chain(**json.loads(marker.read_bytes()))
        except (ValueError, TypeError) as error:
            raise BadSettings(f"{marker} cannot be read ({error}); restore it from a backup") from error

    def _check_private(self) -> None:
        status = self.path.stat()
        if status.st_uid != os.geteuid():
            raise BadSettings(f"{self.path} belongs to another user; run as its owner")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise BadSettings(f"{self.path} is open to others; run: chmod 700 {self.path}")

    def make(self, chain: Chain) -> None:
        """Make the folders that are missing, private; raise BadSettings when that is not allowed.

        A new one is marked as this chain's before anything else lies in it, so that a start which fails, or is cut
        off, can be repeated.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
            if not (self.path / MARKER).exists():
                self.save(chain)
            for name in FOLDERS:
                (self.path / name).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise BadSettings(f"{self.path} cannot be written: {error.strerror}; name a folder you own") from error

    def save(self, chain: Chain) -> None:
        """Write strongroom.json: from here on the folder is a chain's."""
        write_file(self.path / MARKER, (json.dumps(asdict(chain), indent=2) + "\n").encode())

    def lock(self) -> int:
        """Take the folder for this process; raise BadSettings when another `up` has it. Held until exit."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise BadSettings(f"another `strongroom up` runs on {self.path}; stop it first") from error
        return descriptor


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file as a whole, durably: the old content or the new one, never half."""
    temporary = path.with_name(path.name + NEW)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    parent = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
