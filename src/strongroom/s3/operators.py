"""What operators need of a running S3 box, put together: IAM entries, the admin API, restart and stop."""

import asyncio
import logging
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from strongroom import __version__
from strongroom.config.environment import process_environment
from strongroom.errors import NotFound
from strongroom.s3.auditing import now
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.key_service import KeyService
from strongroom.s3.domain.ports import DataKeys, ObjectStore, SystemStore
from strongroom.s3.handlers.admin.configuration import lines
from strongroom.s3.handlers.admin.desk import Desk, ServerFacts
from strongroom.s3.handlers.admin.entrance import AdminEntrance
from strongroom.s3.handlers.admin.sts import StsEntrance
from strongroom.s3.handlers.call import Box
from strongroom.s3.handlers.hub import Hub
from strongroom.s3.handlers.iam_store import ClearEntries, IamStore
from strongroom.s3.handlers.jobs import Jobs
from strongroom.s3.outside.counted_keys import CountedKeys
from strongroom.s3.outside.entry_seal import SealedEntries
from strongroom.s3.outside.notices import post
from strongroom.s3.telemetry import Telemetry

DEPLOYMENT = "deployment"  # the system entry that names this folder for ever; not secret


@dataclass(slots=True)
class ProcessControl:
    """Ends or restarts this process. `stop` is what ends the server's main loop; `again` says how it ended."""

    end: Callable[[], None]
    again: bool = False

    def stop(self) -> None:
        """Begin to stop."""
        self.end()

    def restart(self) -> None:
        """Begin to restart."""
        self.again = True
        self.end()


class WorkerControl:
    """Ends or restarts the whole server from one of its workers: the parent, which gets the signals, does it."""

    again = False

    def __init__(self, signal_parent: Callable[[signal.Signals], None]) -> None:
        self._signal_parent = signal_parent

    def stop(self) -> None:
        """Begin to stop."""
        self._signal_parent(signal.SIGTERM)

    def restart(self) -> None:
        """Begin to restart."""
        self._signal_parent(signal.SIGUSR1)


@dataclass(slots=True)
class Office:
    """IAM entries, the key service and its counted use, and the process: what the admin API is made of."""

    iam: IamStore
    control: ProcessControl | WorkerControl
    service: KeyService | None = None
    keys: CountedKeys | None = None
    jobs: Jobs | None = None
    telemetry: Telemetry | None = None
    keys_changed: Callable[[], Awaitable[None]] | None = None  # tells other processes
    logs: "Hub[dict[str, Any]] | None" = None

    async def load(self) -> None:
        """Read the IAM entries; from then on users are known. Raises what the key service raises."""
        await self.iam.load()
        self.iam.directory.ready = True
        await self.iam.forget_expired()
        if self.jobs is not None:
            await self.jobs.resume()

    def entrances(self, box: Box, facts: ServerFacts) -> tuple[AdminEntrance, StsEntrance]:
        """Return the entrances of the admin API and of STS."""
        desk = Desk(box, self.iam, facts, self.control, self.keys, self.service, self.keys, self.jobs)
        desk.keys_changed = self.keys_changed
        desk.configuration = lines(process_environment())
        if self.telemetry is not None:
            self.logs = console(facts)
            desk.note, desk.traces, desk.logs = self.telemetry.audit.admin, self.telemetry.traces, self.logs
        return AdminEntrance(desk), StsEntrance(desk)


def make_office(
    directory: Directory,
    system: SystemStore,
    service: KeyService | None,
    keys: DataKeys | None,
    control: ProcessControl | WorkerControl,
    *,
    store: ObjectStore,
    telemetry: Telemetry,
    bucket_keys: bool = True,
    runs_jobs: bool = True,
) -> Office:
    """Put an office together: IAM entries are sealed under the default key when there is a key service.

    bucket_keys: objects that a job seals anew may share data keys.
    """
    counted = CountedKeys(keys) if keys else None
    seal = SealedEntries(counted) if counted else ClearEntries()
    telemetry.keys = counted
    jobs: Jobs | None = None
    if counted is not None:
        note = telemetry.audit.resealed
        jobs = Jobs(store, system, counted, seal, time.time, post, bucket_keys=bucket_keys, note=note, runs=runs_jobs)
    return Office(IamStore(directory, system, seal, time.time), control, service, counted, jobs, telemetry)


class ConsoleHandler(logging.Handler):
    """Keeps the server's last log lines for `mc admin logs`, and hands on new ones."""

    def __init__(self, facts: ServerFacts) -> None:
        super().__init__()
        self.hub: Hub[dict[str, Any]] = Hub(keep=1000)
        self._facts = facts
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, from any thread."""
        line = {
            "deploymentid": self._facts.deployment,
            "node": self._facts.endpoint,
            "level": record.levelname,
            "time": now(),
            "logKind": "application" if record.levelno >= logging.ERROR else "minio",
            "message": record.getMessage(),
        }
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.hub.put, line)


def console(facts: ServerFacts) -> "Hub[dict[str, Any]]":
    """Begin to gather log lines of this server; a former one of the same process hears no more."""
    logger = logging.getLogger("strongroom")
    for old in [handler for handler in logger.handlers if isinstance(handler, ConsoleHandler)]:
        logger.removeHandler(old)
    handler = ConsoleHandler(facts)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())  # what Python does by itself while there is no handler at all
    logger.addHandler(handler)
    return handler.hub


async def deployment_id(system: SystemStore) -> str:
    """Return the folder's own id, made at the first start."""
    try:
        return (await system.load(DEPLOYMENT)).decode()
    except NotFound:
        made = str(uuid.uuid4())
        await system.save(DEPLOYMENT, made.encode())
        return made


def facts(endpoint: str, deployment: str, path: str, region: str) -> ServerFacts:
    """Return what `admin info` tells of this server."""
    return ServerFacts(endpoint, __version__, time.time(), deployment, path, region)
