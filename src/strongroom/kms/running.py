"""The life of a served kms: its process id file, its log, signals, the end."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from strongroom.config.memory import lock_memory
from strongroom.errors import BadSettings, Error
from strongroom.kms import app
from strongroom.kms.banner import banner, dev_banner
from strongroom.kms.outside.logs import LogFile, level_of, open_log
from strongroom.kms.settings import Settings
from strongroom.net.run import Signals, run
from strongroom.observe.log import Log


def _write_pid(settings: Settings) -> None:
    if settings.pid_file:
        try:
            Path(settings.pid_file).write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise BadSettings(f"pid_file {settings.pid_file}: {error.strerror}") from error


def _remove_pid(settings: Settings) -> None:
    if settings.pid_file:
        Path(settings.pid_file).unlink(missing_ok=True)


@dataclass(slots=True)
class _Logs:
    """The log of a running server, and how it is set anew by SIGHUP."""

    log: Log
    file: LogFile | None
    reread: Callable[[], Settings] | None

    def reload(self) -> None:
        """Open the file again and take the level that the configuration has now."""
        try:
            if self.file is not None:
                self.file.reopen()
            if self.reread is not None:
                self.log.level = level_of(self.reread())
        except (BadSettings, OSError) as error:
            self.log.warn(f"reload: {error}; the log goes on as before")


async def _serve(settings: Settings, logs: _Logs, signals: Signals) -> int:
    try:
        running = await app.start(settings, logs.log)
        _write_pid(settings)
    except (BadSettings, Error) as error:
        print(f"Error initializing: {error}")
        return 1

    def reload() -> None:
        logs.reload()
        running.reload()

    signals.on_reload(reload)
    print(banner(settings, ha_enabled=running.core.ha_enabled), flush=True)
    if settings.dev:
        address = f"{running.servers[0].host}:{running.servers[0].port}"
        print(dev_banner(settings, address, running.unseal_key, running.root_token), flush=True)
    for server in running.servers:
        print(f"listening on {server.host}:{server.port}", flush=True)
    await signals.stopped.wait()
    print("==> Vault shutdown triggered", flush=True)
    await running.stop()
    _remove_pid(settings)
    return 0


def run_server(settings: Settings, reread: Callable[[], Settings] | None) -> int:
    """Return the exit code: 0 after a graceful stop, 1 when it could not start."""
    try:
        log, file = open_log(settings)
    except BadSettings as error:
        print(error)
        return 1
    for warning in settings.warnings:
        log.warn(warning)
    if not settings.disable_mlock and not settings.dev:
        problem = lock_memory()
        if problem:
            log.warn(f"memory is not locked: {problem}, or set disable_mlock = true")
    with contextlib.suppress(KeyboardInterrupt):
        return run(lambda signals: _serve(settings, _Logs(log, file, reread), signals))
    return 0
