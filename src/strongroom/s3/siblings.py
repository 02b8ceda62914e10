"""What a worker shares with the others of its server, put together: changes, counters, work for the first, the bus."""

from collections.abc import Coroutine
from typing import Any

from strongroom.net.workers import Worker
from strongroom.s3 import crew, operators
from strongroom.s3.bus import Bus
from strongroom.s3.domain.ports import ObjectStore, SystemStore
from strongroom.s3.handlers.call import Box
from strongroom.s3.handlers.following import Following
from strongroom.s3.handlers.notify import Notifier
from strongroom.s3.outside.kes_service import KesService
from strongroom.s3.telemetry import Telemetry


def following(store: ObjectStore, system: SystemStore, office: operators.Office) -> Following:
    """Return what keeps a worker in step: users and policies, and the states of keys."""

    def forget() -> None:
        if isinstance(office.service, KesService):
            office.service.events.forget(None)

    states = crew.KeyStates(system, forget)
    office.keys_changed = states.changed
    return Following(store.changes, office.iam.reload, states.follow)


def works(box: Box, office: operators.Office, telemetry: Telemetry, worker: Worker) -> list[Coroutine[Any, Any, None]]:
    """Return what a worker does beside its requests for the sake of the others."""
    home = crew.meeting()
    assert home is not None
    counters = crew.Counters(worker, home)
    telemetry.others = counters.others
    found: list[Coroutine[Any, Any, None]] = [counters.leave(telemetry.snapshot)]
    if worker.first:
        found.append(crew.watch(box.store.changes, lambda: _look(office, box)))
    return [*found, _join(Bus(worker, home), box, office, telemetry)]


async def _look(office: operators.Office, box: Box) -> None:
    """Take up what other workers have left: jobs, and events to send."""
    box.notifier.look()
    if office.jobs is not None and office.iam.directory.ready:
        await office.jobs.look()


async def _join(bus: Bus, box: Box, office: operators.Office, telemetry: Telemetry) -> None:
    """Take part in the bus until cancelled."""
    traces, notifier = telemetry.traces, box.notifier
    traces.relay = bus.topic("traces", lambda: traces.heard, traces.take)
    if isinstance(notifier, Notifier):
        heard = notifier
        heard.relay = bus.topic("events", lambda: heard.heard, heard.take)
    if (logs := office.logs) is not None:
        logs.relay = bus.topic("logs", lambda: False, logs.take, always=True)
    try:
        await bus.run()
    finally:
        bus.close()
