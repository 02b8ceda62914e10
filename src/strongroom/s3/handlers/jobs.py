"""The jobs of this server: started, kept in the system store, resumed after a restart, cancelled."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable

import msgspec

from strongroom.errors import Error, Malformed, NotFound, Tampered
from strongroom.s3.domain.ports import DataKeys, NoSuchBucket, ObjectStore, SystemStore
from strongroom.s3.domain.rewrap import Job, Order, Progress
from strongroom.s3.handlers.call import log
from strongroom.s3.handlers.iam_store import EntrySeal
from strongroom.s3.handlers.rewrap import Note, Rewrap, check_order, unnoted

ROOT = "jobs/"
ENDS = "job-ends/"  # what processes that run no jobs ask to cancel
KIND = "keyrotate"
KEPT_SECONDS = 3 * 86400.0  # how long a finished job can be asked about
RETRY_SECONDS = 30.0  # before a job is taken up again after its store or key service failed
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

Notify = Callable[[str, str, bytes], Awaitable[None]]  # URL, token, JSON


class NoSuchJob(NotFound):
    """There is no job of this id."""


class Jobs:
    """Rewrap jobs. now() is in seconds since the epoch; notify tells whoever an order names that a job has ended.

    runs: jobs run in this process; another one only stores them, and their ends, for that one to `look` at.
    """

    def __init__(
        self,
        store: ObjectStore,
        system: SystemStore,
        keys: DataKeys,
        seal: EntrySeal,
        now: Callable[[], float],
        notify: Notify,
        *,
        bucket_keys: bool = True,
        note: Note = unnoted,
        runs: bool = True,
    ) -> None:
        self._runs = runs
        self._store = store
        self._system = system
        self._keys = keys
        self._seal = seal
        self._now = now
        self._notify = notify
        self._bucket_keys = bucket_keys
        self._note = note
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def resume(self) -> None:
        """Read the stored jobs and go on with those that were not finished; forget those of days ago."""
        await self._read()
        await self._forget_old()

    async def look(self) -> None:
        """Take over what other processes have stored: progress; where jobs run, new ones and ends."""
        if not self._runs:
            self._jobs.clear()
        await self._read()
        if self._runs:
            for name in await self._system.names(ENDS):
                await self.cancel(name.removeprefix(ENDS))
                await self._system.remove(name)

    async def _read(self) -> None:
        """Read the jobs that are not known here, and begin those that have not ended."""
        for name in await self._system.names(ROOT):
            if name.removeprefix(ROOT) in self._jobs:
                continue
            try:
                job = msgspec.json.decode(await self._seal.open(name, await self._system.load(name)), type=Job)
            except (msgspec.MsgspecError, NotFound, Tampered, Malformed) as error:
                log.error("job %s cannot be read: %s", name.removeprefix(ROOT), error)
                continue
            self._jobs[job.progress.id] = job
            if not _ended(job):
                self._begin(job)

    async def start(self, order: Order, user: str) -> Job:
        """Begin a job. Raises NoSuchBucket, or the key service's error."""
        await check_order(order, self._store, self._keys)
        await self._forget_old()
        short = "".join(secrets.choice(_ALPHABET) for _ in range(22))
        job = Job(order, Progress(f"{KIND}-{short}:-1", user, self._now(), self._now()))
        await self._save(job)
        self._jobs[job.progress.id] = job
        self._begin(job)
        return job

    def all(self) -> list[Job]:
        """Return the jobs, oldest first; finished ones for some days."""
        return sorted(self._jobs.values(), key=lambda job: job.progress.started)

    def find(self, identity: str) -> Job:
        """Return a job; raise NoSuchJob."""
        try:
            return self._jobs[identity]
        except KeyError:
            raise NoSuchJob(identity) from None

    async def cancel(self, identity: str) -> None:
        """End a job where it is; one that is unknown or finished is left alone."""
        job = self._jobs.get(identity)
        if job is None or _ended(job):
            return
        if not self._runs:
            await self._system.save(ENDS + identity, b"")
            return
        await self._end(identity)
        job.progress.cancelled = True
        job.progress.updated = self._now()
        await self._save(job)

    async def close(self) -> None:
        """Stop all jobs; they go on at the next start."""
        for identity, job in list(self._jobs.items()):
            if identity in self._tasks:
                await self._end(identity)
                await self._save(job)

    def _begin(self, job: Job) -> None:
        if self._runs:
            self._tasks[job.progress.id] = asyncio.create_task(self._run(job))

    async def _end(self, identity: str) -> None:
        task = self._tasks.pop(identity, None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, job: Job) -> None:
        """Run a job until it is done; take it up again when the store or the key service was away."""
        run = Rewrap(
            job, self._store, self._keys, self._save, self._now, bucket_keys=self._bucket_keys, note=self._note
        )
        while True:
            try:
                await run.run()
                break
            except NoSuchBucket as error:
                job.progress.error = str(error)
                job.progress.cancelled = True
                await self._save(job)
                break
            except Exception as error:  # whatever it was: a job must not look as if it still ran
                job.progress.error = str(error)
                text = "job %s stopped, trying again: %s"
                log.warning(text, job.progress.id, error, exc_info=not isinstance(error, Error))
                await asyncio.sleep(RETRY_SECONDS)
        self._tasks.pop(job.progress.id, None)
        if job.order.notify:
            await self._tell(job)

    async def _tell(self, job: Job) -> None:
        document = msgspec.json.encode(msgspec.to_builtins(job.progress))
        try:
            await self._notify(job.order.notify, job.order.token, document)
        except Error as error:
            log.warning("job %s: nobody was told: %s", job.progress.id, error)

    async def _save(self, job: Job) -> None:
        name = ROOT + job.progress.id
        await self._system.save(name, await self._seal.seal(name, msgspec.json.encode(job)))

    async def _forget_old(self) -> None:
        limit = self._now() - KEPT_SECONDS
        for identity, job in list(self._jobs.items()):
            if _ended(job) and job.progress.updated < limit:
                del self._jobs[identity]
                await self._system.remove(ROOT + identity)


def _ended(job: Job) -> bool:
    return job.progress.complete or job.progress.cancelled
