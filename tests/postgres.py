"""A PostgreSQL server of a test run's own, on a Unix socket in a temporary folder."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import peers


def _program(name):
    found = shutil.which(name)
    if found is None:
        homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        found = shutil.which(name, path=str(homes[-1])) if homes else None
    return found or peers.find(name)


class Postgres:
    """Started by `start`, stopped by `stop`; url() names a database of it."""

    def __init__(self):
        self.postgres, self.initdb = _program("postgres"), _program("initdb")
        self.folder = Path(tempfile.mkdtemp(prefix="strongroom-pg-"))
        self.process = None
        self._user = None
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            try:
                self._user = pwd.getpwnam("postgres")
            except KeyError:
                peers.missing("a user named postgres")
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)

    def _as_user(self):
        return {"user": self._user.pw_uid, "group": self._user.pw_gid} if self._user else {}

    def start(self):
        data = self.folder / "data"
        words = [self.initdb, "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync"]
        subprocess.run(words, check=True, capture_output=True, cwd=self.folder, timeout=60, **self._as_user())
        words = [self.postgres, "-D", str(data), "-k", str(self.folder), "-c", "listen_addresses="]
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=self.folder, **self._as_user())
        import time

        import psycopg

        for _ in range(1200):
            try:
                psycopg.connect(self.url()).close()
                return self
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise TimeoutError((self.folder / "log").read_text())

    def url(self, database="postgres"):
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # fast shutdown: sessions are ended
            self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
