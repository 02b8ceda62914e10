"""mc batch: jobs that run on the server (mc.md 10.7, sse.md 15)."""

from pathlib import Path

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import local, moment, table
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.sdk.s3_admin import KEYROTATE

TEMPLATES = {"keyrotate": KEYROTATE}
KNOWN = ("keyrotate", "replicate", "expire")


def generate(shell: Shell, line: Line) -> None:
    """mc batch generate ALIAS KIND: the server's template, else ours."""
    kind = line.args[1]
    if kind not in KNOWN:
        raise Fatal(f"There is no job template of the type `{kind}`.", INVALID)
    desk = Desk(shell, line, "Unable to generate a job template")
    try:
        text = desk.admin.call("GET", "generate-job", {"jobType": kind}, tries=1).decode()
    except Error as error:
        if kind not in TEMPLATES:
            raise Fatal(f"NotImplemented: jobs of the type `{kind}` are not supported.", error) from error
        text = TEMPLATES[kind]
    shell.console.line(text.rstrip("\n"))


def start(shell: Shell, line: Line) -> None:
    """mc batch start ALIAS FILE."""
    desk = Desk(shell, line, "Unable to start job")
    try:
        body = Path(line.args[1]).read_bytes()
    except OSError as error:
        raise Fatal(f"Unable to read `{line.args[1]}`.", error) from error
    job = mapping(desk.json("POST", "start-job", None, body))
    text = f"Successfully started '{job.get('type')}' job `{job.get('id')}` on '{job.get('started')}'"
    shell.console.say({"status": "success", "result": job}, text, "ok")


def list_(shell: Shell, line: Line) -> None:
    """mc batch list ALIAS."""
    desk = Desk(shell, line, "Unable to list jobs")
    found = mapping(desk.json("GET", "list-jobs", {"jobType": line.text("type")}))
    jobs = found.get("jobs")
    rows = [("ID", "TYPE", "USER", "STARTED")]
    for job in map(mapping, jobs if isinstance(jobs, list) else []):
        rows.append((str(job.get("id", "")), str(job.get("type", "")), str(job.get("user", "")),
                     local(moment(str(job.get("started", ""))))))  # fmt: skip
    text = table(rows) if len(rows) > 1 else "There are no jobs."
    shell.console.say({"status": "success", "jobs": jobs or []}, text)


def status(shell: Shell, line: Line) -> None:
    """mc batch status ALIAS JOB."""
    job = line.args[1]
    desk = Desk(shell, line, "Unable to get the job's status")
    found = mapping(desk.json("GET", "status-job", {"jobId": job}))
    metric = mapping(found.get("LastMetric"))
    rotation = mapping(metric.get("rotation"))
    state = "failed" if metric.get("failed") else "complete" if metric.get("complete") else "in progress"
    rows = [("Job", job), ("Type", str(metric.get("jobType", ""))), ("State", state),
            ("Started", str(metric.get("startTime", ""))), ("Updated", str(metric.get("lastUpdate", ""))),
            ("Objects", str(rotation.get("objects", 0))),
            ("Failed", str(rotation.get("objectsFailed", 0)))]  # fmt: skip
    shell.console.say({"status": "success", "metric": metric}, table(rows))


def describe(shell: Shell, line: Line) -> None:
    """mc batch describe ALIAS JOB."""
    desk = Desk(shell, line, "Unable to fetch the job definition")
    text = desk.call("GET", "describe-job", {"jobId": line.args[1]}).decode("utf-8", "replace")
    shell.console.line(text.rstrip("\n"))


def cancel(shell: Shell, line: Line) -> None:
    """mc batch cancel ALIAS JOB."""
    job = line.args[1]
    Desk(shell, line, "Unable to cancel the job").call("DELETE", "cancel-job", {"id": job})
    shell.console.say({"status": "success", "id": job}, f"Job `{job}` is cancelled.", "ok")
