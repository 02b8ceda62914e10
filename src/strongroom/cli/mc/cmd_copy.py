"""mc cp, mv, put and get (mc.md 9.4, 9.5)."""

from strongroom.cli.mc.encryption import encryption
from strongroom.cli.mc.failures import INVALID, Failed, Fatal, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.jobs import Cleaner, Report, mover_of, plan_of, run_jobs, workers_of
from strongroom.cli.mc.listing import Entry, local_entry
from strongroom.cli.mc.moving import Job, Mover
from strongroom.cli.mc.planning import Planner, below, inside
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Local, Remote, Shell
from strongroom.errors import Error

PREPARE = "Unable to prepare URL for copying."


def cp(shell: Shell, line: Line) -> None:
    """mc cp SOURCE... TARGET."""
    _copy(shell, line, remove=False)


def mv(shell: Shell, line: Line) -> None:
    """mc mv SOURCE... TARGET."""
    _copy(shell, line, remove=True)


def _copy(shell: Shell, line: Line, *, remove: bool) -> None:
    *words, last = line.args
    rules = encryption(line, line.args, shell.store)
    progress = Progress(shell.console)
    mover = mover_of(shell, line, progress, rules)
    mover.remove = remove
    report = Report(shell, progress)
    clean = Cleaner(shell, enabled=remove)
    try:
        target = shell.target(last) if not last.startswith(("http://", "https://")) else Local(last)
        if isinstance(target, Remote) and target.bucket:
            mover.locked(target)
        jobs = Planner(shell, line, rules, mover, remove=remove).jobs(words, target)
        run_jobs(shell, jobs, mover, report, clean, workers_of(line))
    except (Error, OSError) as error:
        if isinstance(error, Fatal):
            raise
        progress.close()
        shell.console.error(PREPARE, error)
        return
    clean.finish()
    report.summary()


def put(shell: Shell, line: Line) -> None:
    """mc put FILE TARGET."""
    if len(line.args) != 2:
        raise Fatal("Incorrect number of arguments for put command.", INVALID)
    source, target = Local(line.args[0]), shell.remote(line.args[1], "Unable to upload.", "put")
    if not target.key or target.key.endswith("/"):
        where = below(target, source.path.name)
        target = where if isinstance(where, Remote) else target
    if not target.bucket:
        raise Fatal("Unable to upload.", "Bucket name cannot be empty.")
    if not source.path.is_file():
        odd = Failed(f"`{source.path}` is not a regular file.") if source.path.exists() else missing_path(source.path)
        shell.console.error("Unable to upload.", odd)
        return
    rules = encryption(line, line.args[1:], shell.store)
    progress = Progress(shell.console)
    mover = mover_of(shell, line, progress, rules)
    mover.md5[target.alias.name, target.bucket] = False
    if line.on("if-not-exists"):
        mover.headers = [*mover.headers, ("If-None-Match", "*")]
    job = Job(source, target, local_entry(source.path, source.path.name))
    _one(shell, job, mover, progress, "unable to upload", {"totalCount": 0})


def get(shell: Shell, line: Line) -> None:
    """mc get SOURCE FILE."""
    if len(line.args) != 2:
        raise Fatal("Incorrect number of arguments for get command.", INVALID)
    source, target = shell.remote(line.args[0], "Unable to download.", "get"), Local(line.args[1])
    name = source.key.rpartition("/")[2]
    try:
        if not name:
            raise Failed(f"Source `{line.args[0]}` is a folder.")
        where = inside(target, name) if target.text.endswith("/") or target.path.is_dir() else target
        target = where if isinstance(where, Local) else target
    except Failed as error:
        raise Fatal("Unable to download.", error) from error
    rules = encryption(line, line.args[:1], shell.store)
    progress = Progress(shell.console)
    mover = Mover(shell, progress, rules, plan_of(line))
    try:
        head = source.tried(lambda: source.client.head(source.bucket, source.key, line.text("version-id"),
                                                       rules.read(source)))  # fmt: skip
    except Error as error:
        progress.close()
        raise Fatal("Unable to download.", error) from error
    entry = Entry(source.key, head.size, etag=head.etag, version_id=line.text("version-id"))
    _one(shell, Job(source, target, entry, head), mover, progress, "unable to download", {"totalCount": 0})


def _one(shell: Shell, job: Job, mover: Mover, progress: Progress, failed: str, more: dict[str, object]) -> None:
    report = Report(shell, progress)
    progress.expect(job.entry.size)
    report.started(job, **more)
    shell.console.unfinished = lambda: f"`{job.source_name}`"
    try:
        mover.move(job)
    except (Error, OSError, EOFError) as error:
        progress.close()
        raise Fatal(failed, error) from error
    report.summary()
