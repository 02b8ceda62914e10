"""What operators need of a running S3 box, put together: IAM entries, the admin API, restart and stop."""

import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from strongroom import __version__
from strongroom.errors import NotFound
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.key_service import KeyService
from strongroom.s3.domain.ports import DataKeys, SystemStore
from strongroom.s3.handlers.admin.desk import Desk, ServerFacts
from strongroom.s3.handlers.admin.entrance import AdminEntrance
from strongroom.s3.handlers.call import Box
from strongroom.s3.handlers.iam_store import ClearEntries, IamStore
from strongroom.s3.outside.entry_seal import SealedEntries

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


def execute_again() -> None:
    """Replace this process by a new one of the same command line and process id; everything must be closed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # our own command line


def iam_store(directory: Directory, system: SystemStore, keys: DataKeys | None) -> IamStore:
    """Return the IAM entries' keeper: sealed under the default key when there is a key service."""
    return IamStore(directory, system, SealedEntries(keys) if keys else ClearEntries(), time.time)


async def load(iam: IamStore) -> None:
    """Read the IAM entries; from then on users are known. Raises what the key service raises."""
    await iam.load()
    iam.directory.ready = True
    await iam.forget_expired()


async def deployment_id(system: SystemStore) -> str:
    """Return the folder's own id, made at the first start."""
    try:
        return (await system.load(DEPLOYMENT)).decode()
    except NotFound:
        made = str(uuid.uuid4())
        await system.save(DEPLOYMENT, made.encode())
        return made


def admin(
    box: Box,
    iam: IamStore,
    facts: ServerFacts,
    control: ProcessControl,
    keys: KeyService | None,
    data_keys: DataKeys | None,
) -> AdminEntrance:
    """Return the admin API's entrance."""
    return AdminEntrance(Desk(box, iam, facts, control, keys, data_keys))


def facts(endpoint: str, deployment: str, path: str, region: str) -> ServerFacts:
    """Return what `admin info` tells of this server."""
    return ServerFacts(endpoint, __version__, time.time(), deployment, path, region)
