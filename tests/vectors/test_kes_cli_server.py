"""The recorded `kes server` and `kes log` commands, as processes: banner, warnings, reloads, endings."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import kes_threads
import kes_world
import pytest
from vectors.test_kes_cli import CONFIG

from strongroom.config.kes import loads

RECORDED = [case for case in kes_world.load("cli.json") if "argv" in case or "stderr_added" in case]
SERVER = [case for case in RECORDED if case.get("argv", [])[1:2] == ["server"]]
RELOADS = [case for case in RECORDED if "stderr_added" in case]
LOGS = [case for case in RECORDED if case.get("argv", [])[1:2] == ["log"]]
OURS: dict[str, Any] = kes_world.overrides()["cli, long-running"]
ENTRANCE = "import sys; from strongroom.cli.kes.main import main; sys.exit(main(sys.argv[1:], 'kes'))"
PROGRAM = [sys.executable, "-c", ENTRANCE]
UP = "=> Server is up and running..."
ANNOUNCED = r"listening on \S+\n"  # ours, for supervisors, where the original leaves a line empty
OWN = ("Version", "Runtime", "License", "Copyright", "Docs")  # rows that name the program
CHANGED = {
    "SIGHUP with unreadable YAML": lambda text: "a: [",
    "SIGHUP with no admin": lambda text: re.sub(r"admin: .*\n", "", text),
    "SIGHUP with new policy and admin": lambda text: text.replace(
        "  monitor:\n", f'  more: {{ allow: [ /v1/status ], identities: [ "{kes_world.clients()["nopolicy"].identity}" ] }}\n'
        "  monitor:\n"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # the configuration names its files without a folder
    for one in (*kes_world.clients().values(), kes_world.server()):
        one.write(tmp_path)
    (tmp_path / "fsx").mkdir()
    # The recordings' configuration leaves the audit log on standard output; a file keeps its lines out of the banner.
    (tmp_path / "cli.yml").write_text(kes_world.fill(CONFIG))
    return tmp_path


class Process:
    """A running command; what it printed so far."""

    def __init__(self, words: list[str], folder: Path, env: dict[str, str] | None = None) -> None:
        kept = {name: value for name, value in os.environ.items() if "KES" not in name}
        self.child = subprocess.Popen([*PROGRAM, *words], cwd=folder, env=kept | (env or {}), text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        self.out: list[str] = []
        self.err: list[str] = []
        self.readers = [threading.Thread(target=into.extend, args=(iter(stream.readline, ""),), daemon=True)
                        for stream, into in ((self.child.stdout, self.out), (self.child.stderr, self.err))]  # fmt: skip
        for reader in self.readers:
            reader.start()

    def wait_for(self, text: str, into: list[str], times: int = 1) -> None:
        end = time.monotonic() + 20
        while "".join(into).count(text) < times:
            assert time.monotonic() < end and self.child.poll() is None, (text, self.out, self.err)
            time.sleep(0.02)

    def end(self, number: int | None = None) -> tuple[int, str, str]:
        """Send a signal, if any; return exit code, standard output, standard error."""
        if number is not None:
            self.child.send_signal(number)
        code = self.child.wait(20)
        for reader in self.readers:
            reader.join(10)
        return code, "".join(self.out), "".join(self.err)


def shape(text: str) -> str:
    """Take out what names the program, the machine or a throw-away key."""
    text = re.sub(ANNOUNCED, "\n", kes_world.hide(text))
    text = re.sub(r"^\{.*\n", "", text, flags=re.MULTILINE)  # audit lines
    text = re.sub(r"(=> Stopping server\.\.\. )\{.*\n", r"\1", text)
    text = re.sub(rf"^({'|'.join(OWN)}) .*", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"kes:v1:[A-Za-z0-9+/=]{44}", "<api-key>", text)
    text = re.sub(r"^Warning: policy .*\n", "", text, flags=re.MULTILINE)  # ours: a pattern that cannot match
    return re.sub(r"\b[0-9a-f]{64}\b", "<identity>", text).replace("audit=audit.log", "audit=stdout")


def answer(case: dict[str, Any]) -> dict[str, Any]:
    """Return the recorded answer, with our own changes in it."""
    own = OURS.get(" ".join(case["argv"])) if "argv" in case else OURS.get(case["name"])
    found = {**case, **(own or {})}
    for stream in ("stdout", "stderr"):
        for old, new in (own or {}).get("replace", {}).items():
            found[stream] = found[stream].replace(old, new)
    return found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("case", SERVER, ids=lambda case: " ".join(case["argv"][1:]))
def test_server(case: dict[str, Any], folder: Path) -> None:
    want = answer(case)
    ports = {found: free_port() for found in re.findall(r"27\d{3}", json.dumps(want) + "27305")}
    config = folder / "cli.yml"
    config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{ports['27305']}"))
    words = [str(ports.get(word[-5:], "")).join(word.rsplit(word[-5:], 1)) if word[-5:] in ports else word
             for word in case["argv"][1:]]  # fmt: skip
    taken = socket.socket()
    if "in use" in case["stderr"]:
        taken.bind(("127.0.0.1", ports["27305"]))
        taken.listen()
    process = Process(words, folder)
    try:
        if UP in want["stdout"] and want["exit_code"] == 0:
            process.wait_for(UP, process.out)
        if "SIGHUP" in case.get("note", ""):
            process.child.send_signal(signal.SIGHUP)
            process.wait_for("SIGHUP signal completed", process.out)
        code, out, err = process.end(signal.SIGTERM if want["exit_code"] == 0 else None)
    finally:
        process.child.kill()
        taken.close()
    for old, port in ports.items():
        out, err = out.replace(str(port), old), err.replace(str(port), old)
    assert code == want["exit_code"], err
    assert shape(err) == shape(kes_world.fill(want["stderr"]))
    assert shape(out) == shape(kes_world.fill(want["stdout"]))


def test_reloads(folder: Path) -> None:
    """In order, on one server."""
    config = folder / "cli.yml"
    first = config.read_text()
    process = Process(["server", "--config", "cli.yml"], folder)
    try:
        process.wait_for("listening on", process.out)
        port = re.search(r"listening on \S+:(\d+)", "".join(process.out))
        assert port
        for case in RELOADS:
            process.out.clear()
            process.err.clear()
            config.write_text(CHANGED[case["name"]](first))
            process.child.send_signal(signal.SIGHUP)
            into, last = (process.out, "completed.") if case["stdout_added"] else (process.err, "Failed to reload")
            process.wait_for(last, into)
            want = answer(case)
            err = [line for line in shape("".join(process.err)).splitlines() if line]
            assert err == want["stderr_added"].splitlines(), case["name"]
            for line in kes_world.hide(kes_world.fill(want["stdout_added"])).splitlines():
                if line.startswith(("Admin", "Logs", "MLock", "=>")):
                    assert shape(line) in shape("".join(process.out)), case["name"]
            assert status(folder, port[1]) == case["status_as_nopolicy_afterwards"]
    finally:
        process.end(signal.SIGTERM)


def status(folder: Path, port: str) -> int:
    """Ask for the status as `nopolicy`; return 200 or 403."""
    env = {"KES_SERVER": f"127.0.0.1:{port}", "KES_CLIENT_KEY": "nopolicy.key", "KES_CLIENT_CERT": "nopolicy.crt"}
    done = subprocess.run([*PROGRAM, "status", "-k"], cwd=folder, env=os.environ | env, capture_output=True, text=True,
                          timeout=30)  # fmt: skip
    return 200 if done.returncode == 0 else 403


@pytest.mark.parametrize("case", LOGS, ids=lambda case: " ".join(case["argv"][1:]))
def test_log(case: dict[str, Any], folder: Path) -> None:
    """A key is created while it runs, then it is interrupted."""
    want = answer(case)
    with kes_threads.running(loads((folder / "cli.yml").read_text(), {})) as server:
        env = {"KES_SERVER": f"127.0.0.1:{server.port}", "KES_API_KEY": kes_world.api_key("admin")}
        process = Process(case["argv"][1:], folder, env)
        end = time.monotonic() + 20
        made = 0
        while process.child.poll() is None and not (re.search("/v1/key/create/", "".join(process.out)) or ("--error" in case["argv"] and made > 1)):
            assert time.monotonic() < end
            made += 1
            subprocess.run([*PROGRAM, "key", "create", "-k", f"new-{made}"], env=os.environ | env, timeout=30)
        code, out, err = process.end(None if process.child.poll() is not None else signal.SIGINT)
    assert (code, err) == (want["exit_code"], want["stderr"])
    assert "".join(line for line in out.splitlines(keepends=True) if not events([line])) == want["stdout"]


def events(lines: list[str]) -> list[str]:
    """Return the lines that show events; the recorder's were not flushed before it ended the command."""
    return [line for line in lines if "/v1/" in line or line.startswith("{") or "checkpoint" in line]
