"""`strongroom up`: from an empty folder, or an existing one, to a chain that serves."""

import asyncio
import errno
import secrets
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from strongroom.chain import certificates, settings
from strongroom.chain.first import Setup, create_default_key, forget_unfinished, renew_operator
from strongroom.chain.folder import Address, Chain, Folder, write_file
from strongroom.chain.renewal import BOXES, keep_renewed, renew
from strongroom.chain.supervise import Child, Say, Supervisor
from strongroom.errors import BadSettings, Error, Unavailable
from strongroom.sdk.blocking import Client

START_SECONDS = 30.0  # a box that does not serve by then has failed
POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for; None keeps what an existing folder has."""

    s3: str | None = None
    kes: str | None = None
    kms: str | None = None
    http: bool | None = None
    root_user: str | None = None
    root_password_file: str | None = None


DEFAULTS = Wish(s3="127.0.0.1:9000", kes="127.0.0.1:7373", kms="127.0.0.1:8200", http=False, root_user="strongroom")


def settle(folder: Folder, wish: Wish) -> Chain:
    """Combine wishes, an existing folder's settings and the defaults; raise BadSettings for what cannot be."""
    for box in BOXES:
        if (named := getattr(wish, box)) is not None:
            Address.parse(named, f"--{box}")
    old = folder.load()
    before = old or Chain(str(DEFAULTS.kms), str(DEFAULTS.kes), str(DEFAULTS.s3), True, str(DEFAULTS.root_user))
    chain = Chain(
        kms=wish.kms or before.kms,
        kes=wish.kes or before.kes,
        s3=wish.s3 or before.s3,
        s3_tls=before.s3_tls if wish.http is None else not wish.http,
        root_user=wish.root_user or before.root_user,
    )
    for box in BOXES:
        _check_port(chain.address(box), box)
    return chain


def _check_port(address: Address, box: str) -> None:
    family = socket.AF_INET6 if ":" in address.listen else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.listen, address.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise BadSettings(f"{address} is taken; name another with --{box} HOST:PORT") from error
            raise BadSettings(f"{address}: {error.strerror}; name another with --{box} HOST:PORT") from error


def prepare(folder: Folder, chain: Chain, wish: Wish) -> dict[str, str]:
    """Make what is missing: folders, certificates, identities, root password. Returns the kes identities."""
    folder.make(chain)
    forget_unfinished(folder)
    _root_password(folder, wish.root_password_file)
    renew(folder, chain)
    identities = {}
    for name in ("admin", "s3"):
        pair = settings.client_pair(folder, name)
        identities[name] = (
            certificates.identity_of(pair.certificate)
            if pair.exists()
            else certificates.make_identity(pair, f"strongroom {name}")
        )
    folder.save(chain)
    settings.write_kms(folder, chain)
    return identities


def _root_password(folder: Folder, source: str | None) -> None:
    target = folder.secret("root-password")
    if source is not None:
        try:
            password = Path(source).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings(f"--root-password-file {source} cannot be read: {error}") from error
        if not 8 <= len(password) <= 256 or ":" in password or not password.isprintable():
            raise BadSettings(f"--root-password-file {source}: 8 to 256 printable characters without ':' are needed")
        write_file(target, password.encode() + b"\n")
    elif not target.exists():
        write_file(target, secrets.token_urlsafe(24).encode() + b"\n")


class Up:
    """A running chain."""

    def __init__(self, folder: Folder, chain: Chain, identities: dict[str, str], say: Say) -> None:
        self._folder = folder
        self._chain = chain
        self._identities = identities
        self._ca = str(settings.authority_pair(folder).certificate)
        ready: dict[str, Callable[[Child], None]] = {
            "kms": self._kms_ready,
            "kes": self._kes_ready,
            "s3": self._s3_ready,
        }
        children = [
            Child(
                name=box,
                words=settings.command(folder, chain, box),
                log=folder / f"logs/{box}.log",
                started=ready[box],
                environment=settings.s3_environment(folder, chain) if box == "s3" else {},
            )
            for box in BOXES
        ]
        self._unsealed: asyncio.subprocess.Process | None = None  # the kms process that was unsealed: once is enough
        self._say = say
        self.supervisor = Supervisor(children, say)

    async def keep_certificates(self) -> None:
        """Renew certificates while the chain runs."""
        await keep_renewed(self._folder, self._chain, self.supervisor.reload, self._say)

    def _client(self, box: str, identity: str | None = None) -> Client:
        pair = settings.client_pair(self._folder, identity) if identity else None
        url = self._chain.s3_url() if box == "s3" else self._chain.address(box).url()
        return Client(url, self._ca, *((str(pair.certificate), str(pair.key)) if pair else ()))

    def _kms_ready(self, child: Child) -> None:
        kms = self._client("kms")
        _wait(child, lambda: kms.ask("GET", "/v1/sys/seal-status").status == 200)
        setup = Setup(self._folder, kms)
        if self._unsealed is not child.process:  # a later seal is an operator's
            setup.unseal()
            self._unsealed = child.process
        _wait(child, lambda: kms.ask("GET", "/v1/sys/health?standbyok=true").status == 200)
        setup.finish()
        token = self._folder.secret("operator-token")
        if token.exists():
            renew_operator(kms, token.read_text().strip())
        kms.close()
        settings.write_kes(self._folder, self._chain, self._identities)

    def _kes_ready(self, child: Child) -> None:
        kes = self._client("kes", "admin")
        _wait(child, lambda: kes.ask("GET", "/v1/ready").status == 200)
        create_default_key(kes)
        kes.close()

    def _s3_ready(self, child: Child) -> None:
        s3 = self._client("s3")
        _wait(child, lambda: s3.ask("GET", "/minio/health/ready").status == 200)
        s3.close()


def _wait(child: Child, serves: Callable[[], bool]) -> None:
    """Ask until the box serves; raise Error when it ended or START_SECONDS have passed."""
    last = "no answer"
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and child.running:
        try:
            if serves():
                return
            last = "it answers, but is not ready"
        except Unavailable as error:
            last = str(error)
        time.sleep(POLL_SECONDS)
    raise Error(f"{child.name} does not serve ({last}); its log: {child.log}")


async def run(up: Up, ready: Callable[[], None]) -> None:
    """Start the chain, call ready, and keep it until SIGTERM or SIGINT; then end everything."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.create_task(up.supervisor.start())
    stopped = asyncio.create_task(stop.wait())
    keeping = asyncio.create_task(up.keep_certificates())
    try:
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            ready()
            await stopped
    finally:
        starting.cancel()
        stopped.cancel()
        keeping.cancel()
        await up.supervisor.stop()
