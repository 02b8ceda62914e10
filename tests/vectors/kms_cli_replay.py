"""Replays tests/vectors/kms/cli.json: runs our command line and makes its output comparable with the recording."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from strongroom.cli.kms.brand import brand
from strongroom.cli.kms.main import run

HERE = Path(__file__).resolve().parent
RECORDED_ADDRESS = "127.0.0.1:8200"
RECORDED_CLUSTER = "127.0.0.1:8201"
POLICY = 'path "kv/minio/*" {\n  capabilities = [ "create", "read", "delete" ]\n}\n\n'

_NAMES = re.compile(r"<([a-z0-9_]+)>")
# Volatile shapes on both sides become the same text; the recording keeps the length of most of them (README).
SHAPES = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000 UTC"), "<time>"),
    (re.compile(r"\d\d [A-Z][a-z]{2} \d\d \d\d:\d\d UTC"), "<time>"),
    (re.compile(r"\b(hv)?s\.[A-Za-z0-9_-]{20,}"), "<token>"),
    (re.compile(r"\b(hv)?b\.[A-Za-z0-9_-]{30,}"), "<batch_token>"),
    (re.compile(r"\b([a-z_]+)_[0-9a-f]{8}\b"), r"\1_<hex8>"),
    (re.compile(r"vault-cluster-[0-9a-f]{8}"), "vault-cluster-<hex8>"),
    (re.compile(r"(accessor\"?:? +\"?)[A-Za-z0-9]{24}\b"), r"\1<accessor>"),
    (re.compile(r"(Encryption Count +|\"encryptions\": |Raft \w+ Index +|\"raft_\w+_index\": )\d+"), r"\1<n>"),
    (re.compile(r"(creation_time\"?:? +|last_renewal_time\"?:? +)\d{10}"), r"\1<unix>"),
    (re.compile(r"(ttl +)(59m\d+s|1h|30m|29m\d+s)\b"), r"\1<about>"),
    (re.compile(r"(\"ttl\": )(3[56]\d\d)\b"), r"\1<about>"),
)  # fmt: skip


@dataclass
class Outcome:
    """What one command line printed and its exit code."""

    code: int
    out: str
    err: str


@dataclass
class Replay:
    """Runs the cases of one recording in order, in one folder, against one server."""

    folder: Path
    address: str  # host:port of the server
    cluster: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    captured: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)  # see overrides()
    suffix: str = ""  # of this group's own overrides

    def run(self, case: Mapping[str, Any]) -> Outcome:
        """Run a case; captures named in its recorded output are learnt."""
        words = [self._fill(word) for word in case["argv"]]
        if words[0] == "cat":
            return Outcome(0, (self.folder / words[1].replace("~/", "")).read_text(), "")
        environment = {
            **self.environment,
            **({"VAULT_TOKEN": self.captured["root"]} if "root" in self.captured else {}),
        }
        change = self.changes.get(name_of(case) + self.suffix, self.changes.get(name_of(case), {}))
        for argv in change.get("before", ()):
            self.run({"argv": argv, "stdout": ""})
        for name, value in {**(case.get("env") or {}), **change.get("env", {})}.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = self._fill(str(value))
        out, err = io.StringIO(), io.StringIO()
        stdin = io.StringIO(self._fill(case.get("stdin", "")))
        code = run(words[1:], brand("bao"), environment, (stdin, out, err))
        self._learn(case["stdout"], out.getvalue())
        return Outcome(code, out.getvalue(), err.getvalue())

    def _fill(self, word: str) -> str:
        word = word.replace("<cwd>", str(self.folder)).replace(RECORDED_ADDRESS, self.address)
        return _NAMES.sub(lambda found: self.captured.get(found[1], found[0]), word)

    def _learn(self, recorded: str, printed: str) -> None:
        for line, actual in zip(recorded.split("\n"), printed.split("\n"), strict=False):
            found = _NAMES.search(line)
            if found and found[1] not in self.captured and line.endswith(found[0]):
                lead = line[: found.start()]
                if actual.startswith(lead):
                    self.captured[found[1]] = actual[len(lead) :]

    def comparable(self, text: str, *, printed: bool) -> str:
        """Return a recorded or a printed text with what is volatile made equal."""
        if printed:
            text = text.replace(self.address, RECORDED_ADDRESS)
            text = text.replace(self.cluster, RECORDED_CLUSTER) if self.cluster else text
        text = _NAMES.sub(lambda found: self.captured.get(found[1], found[0]), text)
        for shape, instead in SHAPES:
            text = shape.sub(instead, text)
        return text


# What a status shows of a cluster over raft, and what it shows of one server that keeps its data in a file.
_CLUSTER_LINES = re.compile(
    r"^ *\"?(HA Cluster|HA Mode|Active Since|Active Node Address|Raft \w+ Index"
    r"|is_self|active_time|leader_\w+|raft_\w+)\b.*\n",
    re.MULTILINE,
)
_ONE_SERVER = (
    (_CLUSTER_LINES, ""),
    (re.compile(r"(Storage Type +|storage_type\"?: \"?)raft"), r"\1file"),
    (re.compile(r"(HA Enabled +|ha_enabled\"?: )true,?"), r"\1false"),
    (re.compile(r"(build_date\"?: )\"\""), r'\1"<time>"'),  # ours has both dates
    (re.compile(r" {2,}"), "  "),
    (re.compile(r"-{3,}"), "---"),
)


def one_server(text: str) -> str:
    """Return a comparable status of the recorded cluster as it is for one server; column widths are levelled."""
    for shape, instead in _ONE_SERVER:
        text = shape.sub(instead, text)
    return text


def load() -> dict[str, Any]:
    """Return the recording."""
    recording: dict[str, Any] = json.loads((HERE / "kms" / "cli.json").read_text())
    return recording


def overrides() -> dict[str, Any]:
    """Return what differs from the recording, each with its reason, by case (its words joined, its note in brackets).

    exit_code, stdout, stderr: our deliberate answers. before, env: what the recording does not tell about its set-up.
    """
    found: dict[str, Any] = json.loads((HERE / "overrides" / "kms-cli.json").read_text())
    return found


def name_of(case: Mapping[str, Any]) -> str:
    """Return the name that an override and a test id use for a case."""
    note = f" [{case['note']}]" if case.get("note") else ""
    return " ".join(case["argv"]) + note
