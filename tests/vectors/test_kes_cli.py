"""Every recorded command line, in order, against our server."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import kes_threads
import kes_world
import pytest

from strongroom.cli.kes import connect, identity, keys, policies, status
from strongroom.cli.kes.main import main
from strongroom.config.kes import loads
from strongroom.kes.wire.pem import encrypt_key

CASES = [case for case in kes_world.load("cli.json") if "argv" in case]
OURS = kes_world.overrides()["cli"]
CONFIG = """\
version: v1
address: 127.0.0.1:0
admin: { identity: "<identity:admin>" }
tls: { key: kes.key, cert: kes.crt }
policy:
  my-app:
    allow: [ /v1/key/create/my-app*, /v1/key/generate/my-app*, /v1/key/decrypt/my-app*, /v1/key/describe/my-app ]
    deny: [ "/v1/key/generate/my-app-internal*" ]
    identities: [ "<identity:app>", "<identity:p256>", "<identity:rsa2048>" ]
  monitor:
    allow: [ /v1/status, /v1/metrics, /v1/api, /v1/ready, /v1/log/*, /v1/key/list/*, /v1/policy/*, /v1/identity/* ]
    identities: [ "<identity:mon>", "<identity:expired>" ]
  globs: { allow: [ "/v1/key/*/x" ], identities: [ "<identity:glob>" ] }
  empty: { identities: [ "<identity:empty>" ] }
audit: { file: audit.log }
keystore: { fs: { path: fsx } }
"""
OLD = '{"bytes":"K4rRgUVvEUSlwgrOeq4Lka6ZQnB7BFgPexVq0Bn8n38=","algorithm":"ChaCha20"}'
ELSEWHERE = {"server", "log", "metric"}  # test_kes_cli_server.py; metric in tests/unit/cli/test_kes_commands.py


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

    folder = tmp_path_factory.mktemp("cli")
    for one in (*kes_world.clients().values(), kes_world.server()):
        one.write(folder)
    nopolicy = kes_world.clients()["nopolicy"]
    der = load_pem_private_key(nopolicy.key, None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    (folder / "enc.key").write_bytes(encrypt_key(der, b"secret-pw"))
    (folder / "enc.crt").write_bytes(nopolicy.cert)
    (folder / "fsx").mkdir()
    (folder / "fsx" / "old").write_text(OLD)
    (folder / "cli.yml").write_text(kes_world.fill(CONFIG))
    (folder / "to.yml").write_text("keystore: { fs: { path: fsto } }")
    (folder / "bad.yml").write_text("a: [")
    return folder


def _run(case: dict[str, Any], port: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> dict[str, Any]:
    for name in (*connect.SERVER, *connect.API_KEY, *connect.KEY, *connect.CERT, *connect.CA, "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in case.get("env", {}).items():
        text = kes_world.fill(value).replace("27305", str(port)).replace("27398", "1").replace("<dir>", str(folder))
        monkeypatch.setenv(name, text)
    tty = bool(case.get("tty"))
    for module in (keys, policies, identity, status):
        monkeypatch.setattr(module, "terminal", lambda: tty)
    typed = iter(case.get("typed", []))
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: _type(prompt, typed))
    words = [kes_world.fill(word).replace("27305", str(port)) for word in case["argv"][1:]]
    capsys.readouterr()
    code = main(_known_ciphertexts(words), "kes")
    out, err = capsys.readouterr()
    return {"exit_code": code, "stdout": out, "stderr": err, "output": out + err}


def _type(prompt: str, typed: Any) -> str:
    sys.stderr.write(prompt + "\n")
    return next(typed).strip()


_ciphertexts: dict[str, str] = {}


def _known_ciphertexts(words: list[str]) -> list[str]:
    """Put the ciphertext that our server made for `hello` in the place of the recorder's."""
    return [_ciphertexts.get("hello", word) if len(word) > 60 and "decrypt" in words else word for word in words]


def _shape(text: str, port: int) -> str:
    text = kes_world.hide(text).replace(str(port), "27305").replace("127.0.0.1:1/", "127.0.0.1:27398/")
    text = re.sub(r"\d{4}-\d\d-\d\d[ T](?!00:00:00)\d\d:\d\d:\d\d(\.\d+)?Z?", "<time>", text)
    text = re.sub(r'("(?:plaintext|ciphertext)": ?")[^"]+', r"\1<b64>", text)
    text = re.sub(r"((?:plaintext|ciphertext): +)\S+", r"\1<b64>", text)
    text = re.sub(r"(Uptime|Latency|CPUs|Memory|Heap|Stack)( +).*", r"\1\2<value>", text)
    text = re.sub(r'("(?:uptime|num_cpu|num_cpu_used|mem_\w+|keystore_latency)": ?)"?[\w<>]+"?', r"\1<int>", text)
    text = re.sub(r"kes:v1:[A-Za-z0-9+/=]{44}", "<api-key>", text)
    return re.sub(r'("version": ?")[^"]+', r"\1<version>", re.sub(r"(Version +)\S+", r"\1<version>", text))


def _same(ours: str, recorded: str, port: int) -> bool:
    ours, recorded = _shape(ours, port), _shape(kes_world.hide(kes_world.fill(recorded)), port)
    if recorded.startswith(("Identity\n", '["<identity')) or "API                          Timeout" in recorded:
        return sorted(ours.replace('"', ",").split()) == sorted(recorded.replace('"', ",").split()) or sorted(
            re.findall(r"<identity:\w+>", ours)
        ) == sorted(re.findall(r"<identity:\w+>", recorded))
    return ours == recorded


def test_command_lines(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """In order: the commands build on one another. All differences are reported together."""
    monkeypatch.chdir(folder)
    failures = []
    with kes_threads.running(loads((folder / "cli.yml").read_text(), {})) as server:
        for number, case in enumerate(CASES):
            if len(case["argv"]) > 1 and case["argv"][1] in ELSEWHERE:
                continue
            label = f"{number}: {' '.join(case['argv'])} {'tty' if case.get('tty') else ''}".strip()
            ours = OURS.get(label.split(": ", 1)[1]) or OURS.get(label) or {}
            result = _run(case, server.port, folder, monkeypatch, capsys)
            if case["argv"][2:3] == ["encrypt"] and result["exit_code"] == 0 and "hello" in case["argv"]:
                found = re.search(r"[A-Za-z0-9+/=]{60,}", result["stdout"])
                _ciphertexts["hello"] = found[0] if found else ""
            expected = {**case, **{name: value for name, value in ours.items() if name != "reason"}}
            failures += _differences(label, result, expected, server.port)
    assert not failures, "\n".join(failures)


def _differences(label: str, result: dict[str, Any], expected: dict[str, Any], port: int) -> list[str]:
    if result["exit_code"] != expected["exit_code"]:
        return [f"{label}: exit code {result['exit_code']}: {result['stdout']}{result['stderr']}"]
    if expected.get("first_lines_omitted"):
        return [] if "Usage:" in result["stderr"] else [f"{label}: no usage"]
    if expected["argv"][1:2] in (["--version"], ["-v"]):
        rows = [line.split()[0] for line in result["stdout"].splitlines()]
        return [] if rows == ["Version", "Runtime", "License", "Copyright"] else [f"{label}: {rows}"]
    if "stderr_begins" in expected:
        return [] if result["stderr"].startswith(expected["stderr_begins"]) else [f"{label}: {result['stderr']}"]
    streams = ("output",) if expected.get("tty") else ("stdout", "stderr")
    return [
        f"{label}: {stream} {_shape(result[stream], port)!r}\n    instead of {_shape(expected.get(stream, ''), port)!r}"
        for stream in streams
        if not _same(result[stream], expected.get(stream, ""), port)
    ]


def test_every_override_has_a_reason() -> None:
    for group in kes_world.overrides().values():
        assert all(one["reason"] for one in group.values())


def test_json_of_every_listing_is_json(folder: Path) -> None:
    for case in CASES:
        if "--json" in case["argv"] and case["exit_code"] == 0 and not case.get("tty") and "ls" in case["argv"]:
            json.loads(case["stdout"].splitlines()[0])
