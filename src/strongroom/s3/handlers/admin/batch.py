"""Batch jobs: start, list, status, describe, cancel (sse.md 15)."""

from strongroom.errors import NotSupported
from strongroom.messages import Response
from strongroom.s3.domain.key_errors import NoKeyService
from strongroom.s3.handlers.admin.desk import Errand
from strongroom.s3.handlers.jobs import Jobs, NoSuchJob
from strongroom.s3.wire import batch
from strongroom.s3.wire.admin import render_json
from strongroom.s3.wire.batch_template import KEYROTATE

_YAML = ("Content-Type", "text/plain; charset=utf-8")


async def _jobs(errand: Errand) -> Jobs:
    if errand.desk.jobs is None:
        raise NoKeyService(bucket_configuration=True)
    await errand.desk.jobs.look()
    return errand.desk.jobs


async def start(errand: Errand) -> Response:
    """Begin the job that the body describes."""
    order = batch.parse(errand.content)
    return render_json(batch.started(await (await _jobs(errand)).start(order, errand.principal.name)))


async def generate(errand: Errand) -> Response:
    """Return a job's template, to be filled in; raise NotSupported for jobs of other types."""
    kind = errand.query["jobType"]
    if kind != batch.KIND:
        raise NotSupported(f"jobs of the type {kind!r} are not supported")
    return Response(200, [_YAML], KEYROTATE.encode())


async def list_jobs(errand: Errand) -> Response:
    """Return all jobs of a type, the newest last; finished ones for some days."""
    wanted = errand.query.get("jobType", "")
    jobs = (await _jobs(errand)).all() if wanted in ("", batch.KIND) else []
    now = errand.desk.box.now()
    return render_json({"jobs": [batch.listed(job, now) for job in jobs]})


async def status(errand: Errand) -> Response:
    """Return how far a job is."""
    try:
        return render_json(batch.status((await _jobs(errand)).find(errand.query["jobId"])))
    except NoSuchJob as error:
        raise batch.unknown_job() from error


async def describe(errand: Errand) -> Response:
    """Return a job as it was asked for, as YAML."""
    try:
        return Response(200, [_YAML], batch.described((await _jobs(errand)).find(errand.query["jobId"])))
    except NoSuchJob as error:
        raise batch.unknown_job() from error


async def cancel(errand: Errand) -> Response:
    """End a job; what it has done stays. Cancelling what is not there is no error."""
    await (await _jobs(errand)).cancel(errand.query["id"])
    return Response(204)
