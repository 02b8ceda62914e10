"""Commands that go on until they are stopped: watch, mirror --watch, admin trace and logs; and quotas."""

import json
import queue
import signal
import subprocess
import threading
import time


class Running:
    """A command under way, its lines as they come."""

    def __init__(self, shell, *words):
        self.process = shell.start(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().rstrip("\n"))

    def wait_for(self, good, act=None, seconds=15):
        """Return the first line that good accepts; act is repeated every second until then."""
        limit, seen = time.monotonic() + seconds, []
        while time.monotonic() < limit:
            if act is not None:
                act()
            again = time.monotonic() + 1
            while time.monotonic() < again:
                try:
                    seen.append(self.lines.get(timeout=0.1))
                except queue.Empty:
                    continue
                if good(seen[-1]):
                    return seen[-1]
        raise AssertionError(f"not among {seen}")

    def stop(self):
        """Interrupt it as Ctrl-C does; return its exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self.reader.join()
        self.process.stdout.close()
        return code


def test_watch_tells_of_changes(shell):
    shell.run("mb", "my/seen")
    running = Running(shell, "--json", "watch", "--events", "put,delete", "--prefix", "in/", "my/seen")
    line = running.wait_for(lambda line: "ObjectCreated" in line,
                            lambda: shell.run("pipe", "my/seen/in/ü +x", stdin=b"12345"))  # fmt: skip
    event = json.loads(line)["events"]
    assert event["path"].endswith("/seen/in/ü +x")
    assert (event["type"], event["size"]) == ("s3:ObjectCreated:CompleteMultipartUpload", 5)
    shell.run("pipe", "my/seen/out", stdin=b"")
    shell.run("rm", "my/seen/in/ü +x")
    running.wait_for(lambda line: "ObjectRemoved" in line)
    assert all("/seen/out" not in line for line in running.lines.queue)
    assert running.stop() == 130


def test_find_goes_on_with_what_comes(shell):
    shell.run("mb", "my/found")
    running = Running(shell, "find", "--watch", "--name", "*.txt", "my/found")
    line = running.wait_for(bool, lambda: [shell.run("pipe", f"my/found/{name}") for name in ("a", "b.txt")])
    assert line == "my/found/b.txt"
    assert running.stop() == 130


def test_mirror_watches_a_folder(shell):
    shell.run("mb", "my/live")
    folder = shell.folder / "live"
    folder.mkdir()
    (folder / "a").write_text("a")
    running = Running(shell, "mirror", "--watch", "--remove", "live", "my/live")
    running.wait_for(lambda line: "live/a" in line)
    (folder / "b").write_text("b")
    running.wait_for(lambda line: "live/b" in line)
    (folder / "a").unlink()
    running.wait_for(lambda line: "live/a" in line)
    assert shell.run("ls", "my/live").endswith(" b\n")
    assert running.stop() == 130


def test_mirror_watches_a_bucket(shell):
    shell.run("mb", "my/from")
    running = Running(shell, "mirror", "--watch", "my/from", "to")
    running.wait_for(lambda line: "from/k1" in line, lambda: shell.run("pipe", "my/from/k1", stdin=b"1"))
    shell.run("pipe", "my/from/k2", stdin=b"22")
    running.wait_for(lambda line: "from/k2" in line)
    assert (shell.folder / "to" / "k2").read_bytes() == b"22"
    assert running.stop() == 130


def test_trace_shows_calls(shell):
    shell.run("mb", "my/traced")
    running = Running(shell, "admin", "trace", "--path", "traced/*", "my")
    line = running.wait_for(lambda line: "s3.CompleteMultipartUpload" in line,
                            lambda: shell.run("pipe", "my/traced/k", stdin=b"x"))  # fmt: skip
    assert "[200]" in line
    assert "/traced/k" in line
    assert running.stop() == 130
    running = Running(shell, "--json", "admin", "trace", "--errors", "--status-code", "404", "my")
    line = running.wait_for(lambda line: "/traced/none" in line, lambda: shell.run("cat", "my/traced/none", code=1))
    assert json.loads(line)["status"] == "success"
    running.stop()


def test_logs_begin_with_the_last(shell):
    running = Running(shell, "--json", "admin", "logs", "--last", "5", "my")
    time.sleep(0.5)
    assert running.stop() == 130
    while not running.lines.empty():
        assert json.loads(running.lines.get())["status"] in {"success", "error"}


def test_a_quota_stops_uploads(shell):
    shell.run("mb", "my/small")
    shell.run("quota", "set", "--size", "1KiB", "my/small")
    assert "1.0 KiB" in shell.run("quota", "info", "my/small")
    assert "quota" in shell.run("pipe", "my/small/k", stdin=b"x" * 2000, code=1).lower()
    shell.run("quota", "clear", "my/small")
    shell.run("pipe", "my/small/k", stdin=b"x" * 2000)
