"""Three child processes, kept running: a child that dies is started again, with back-off, and said so."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from strongroom.chain.child import PARENT
from strongroom.errors import Error

FIRST_PAUSE = 0.2  # seconds before the first restart
LONGEST_PAUSE = 10.0
CALM = 30.0  # a child that ran this long starts again with the first pause
STOP_SECONDS = 4.0  # then SIGKILL: everything has ended within 5 s
LOG_BYTES = 16 * 1024 * 1024  # a larger log is put aside (one old one is kept) before a child starts

OTHERS = (
    "VAULT_",
    "BAO_",
    "KES_",
    "MINIO_KMS_",
    "MINIO_ROOT_",
    "MINIO_ACCESS_KEY",
    "MINIO_SECRET_KEY",
    "MINIO_VOLUMES",
)

Say = Callable[[str], None]


@dataclass(slots=True)
class Child:
    """One box. started is called (in a thread) once the process runs, and waits until it serves."""

    name: str
    words: list[str]
    log: Path
    started: Callable[["Child"], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    serves: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start the process; its output goes to the log."""
        _put_aside(self.log)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "strongroom.cli.main",
                *self.words,
                env={**inherited(), **self.environment, PARENT: str(os.getpid())},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,  # Ctrl-C reaches `up` alone, which ends its children in order
            )
        finally:
            os.close(descriptor)

    def last_words(self) -> str:
        """Return the last line of the log, for a message that says why a child ended."""
        try:
            lines = self.log.read_bytes()[-4096:].decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None


def inherited() -> dict[str, str]:
    """Return the environment without what is meant for clients, or for boxes that are set up otherwise.

    A shell that has done `eval "$(strongroom env DIR)"`, or talks to another Vault, starts the same chain.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}


class Supervisor:
    """Starts children in order, keeps them running, ends them in reverse order."""

    def __init__(self, children: list[Child], say: Say) -> None:
        self._children = children
        self._say = say
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Start every child and wait until it serves; raise Error when one ends before that."""
        for child in self._children:
            await child.start()
            await self._serving(child)
            self._keepers.append(asyncio.create_task(self._keep(child)))

    async def _serving(self, child: Child) -> None:
        assert child.process is not None
        ready = asyncio.create_task(asyncio.to_thread(child.started, child))
        ended = asyncio.create_task(child.process.wait())
        await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            await asyncio.wait({ready})  # it notices by itself that the process is gone
            ready.exception()
            reason = child.last_words() or f"exit code {child.process.returncode}"
            raise Error(f"{child.name} ended at once: {reason} ({child.log})")
        ended.cancel()
        await ready
        child.serves.set()

    def child(self, name: str) -> Child:
        """Return the child of that name."""
        return next(child for child in self._children if child.name == name)

    async def reload(self, name: str) -> None:
        """Have a child read its certificate again, once it serves."""
        child = self.child(name)
        await child.serves.wait()
        _signal(child, signal.SIGHUP)

    async def _keep(self, child: Child) -> None:
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            since = loop.time()
            assert child.process is not None
            code = await child.process.wait()
            child.serves.clear()
            if self._stopping:
                return
            pause = FIRST_PAUSE if loop.time() - since > CALM else pause
            self._say(f"{child.name} ended ({_ending(code)}), starting it again in {pause:g} s; its log: {child.log}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                await child.start()
            except Exception as error:  # a full disk, say: whoever keeps a child must not end before it
                self._say(_reason(child, error))
            else:
                await self._bring_up(child)

    async def _bring_up(self, child: Child) -> None:
        """Have a restarted child serve; one that runs but does not is helped again until it serves or ends."""
        pause, said = FIRST_PAUSE, ""
        while True:
            try:
                await self._serving(child)
            except Exception as error:  # as above
                if (reason := _reason(child, error)) != said:
                    self._say(said := reason)
            else:
                self._say(f"{child.name} runs again")
                return
            if not child.running:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def stop(self) -> None:
        """End all children, the last started first: SIGTERM, and SIGKILL for one that does not listen."""
        self._stopping = True
        for keeper in self._keepers:
            keeper.cancel()
        running = [child for child in reversed(self._children) if child.running]
        for child in running:
            _signal(child, signal.SIGTERM)
        waits = [asyncio.create_task(child.process.wait()) for child in running if child.process]
        if waits:
            _, late = await asyncio.wait(waits, timeout=STOP_SECONDS)
            for child in running if late else ():
                _signal(child, signal.SIGKILL)
            await asyncio.gather(*waits)


def _signal(child: Child, number: signal.Signals) -> None:
    if child.running and child.process is not None:
        child.process.send_signal(number)


def _reason(child: Child, error: Exception) -> str:
    return str(error) if isinstance(error, Error) else f"{child.name}: {type(error).__name__}: {error}"


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
