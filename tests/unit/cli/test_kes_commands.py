"""The key server's commands that no recording has: states, init, audit, dry runs, metrics, logs."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kes_threads
import kes_world
import pytest

from strongroom.cli.kes import connect
from strongroom.cli.kes.examples import EXAMPLES
from strongroom.cli.kes.flags import JSON, parse
from strongroom.cli.kes.main import COMMANDS, _load, main
from strongroom.cli.kes.metric import document
from strongroom.config.kes import loads
from strongroom.kes.domain.settings import AuditSettings, FsSettings, Settings, TlsSettings

KES = [
    sys.executable,
    "-c",
    "import sys; from strongroom.cli.kes.main import main; sys.exit(main(sys.argv[1:], 'kes'))",
]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A running server; the environment names it and the admin's API key."""
    kes_world.server().write(tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = Settings(
        host="127.0.0.1",
        port=0,
        admin=kes_world.clients()["admin"].identity,
        tls=TlsSettings("kes.key", "kes.crt"),
        store=FsSettings("keys"),
        audit=AuditSettings(console=False, file="audit.log"),
    )
    for name in (*connect.SERVER, *connect.API_KEY, *connect.KEY, *connect.CERT):
        monkeypatch.delenv(name, raising=False)
    with kes_threads.running(settings) as running:
        monkeypatch.setenv("KES_SERVER", f"127.0.0.1:{running.port}")
        monkeypatch.setenv("KES_API_KEY", kes_world.api_key("admin"))
        monkeypatch.setenv("KES_CA", "kes.crt")
        yield running


def run(words: str, capsys: Any, code: int = 0) -> str:
    """Run a command; return what it printed (on standard error when it fails)."""
    capsys.readouterr()
    found = main(words.split(), "kes")
    out, err = capsys.readouterr()
    assert found == code, (words, out, err)
    return err if code else out


def test_states(server: Any, capsys: Any) -> None:
    run("key create mine other", capsys)
    run("key rotate mine", capsys)
    run("key disable mine", capsys)
    assert "failed to derive key: key is disabled" in run("key dek mine", capsys, 1)
    run("key delete other --after 3d", capsys)
    rows = run("key ls --long", capsys).splitlines()
    assert re.fullmatch(r"mine +2 +disabled +[0-9a-f]{32} .*", rows[1])
    assert re.fullmatch(r"other +1 +pending deletion at \S+Z +[0-9a-f]{32} .*", rows[2])
    run("key enable mine", capsys)
    run("key restore other", capsys)
    states = json.loads(run("key ls --long --json", capsys))
    assert [(one["name"], one["state"], one["version"]) for one in states] == [
        ("mine", "enabled", 2),
        ("other", "enabled", 1),
    ]
    assert json.loads(run("key state --json mine", capsys))[0]["versions"][1]["version"] == 2
    assert "is not waiting" in run("key restore other", capsys, 1)
    assert "invalid duration 'soon'" in run("key delete other --after soon", capsys, 1)
    run("key rm other", capsys)
    assert "key already exists" in run("key create other", capsys, 1)
    run("key create --force other", capsys)


def test_init_writes_what_the_server_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    run("init kes.yml --identity abc --address 127.0.0.1:7373", capsys)
    env = {"KES_ROLE_ID": "role", "KES_SECRET_ID": "secret"}
    settings = loads((tmp_path / "kes.yml").read_text(), env)
    assert settings.policies[0].allows("/v1/key/generate/minio-1")
    assert settings.audit.rotate_bytes == 100_000_000
    assert settings.warnings == ()
    assert "already exists" in run("init kes.yml", capsys, 1)
    text = run("init --store fs --identity abc", capsys)
    assert loads(text, {}).store == FsSettings("keys")


def test_audit_verify(server: Any, capsys: Any, tmp_path: Path) -> None:
    run("key create mine", capsys)
    found = json.loads(run("audit verify audit.log --json", capsys))
    assert found["lines"] >= 2
    assert run(f"audit verify audit.log --head {found['head']}", capsys).startswith(f"{found['lines']} lines")
    run("key create second", capsys)
    assert "its tail was cut" in run(f"audit verify audit.log --head {found['head']}", capsys, 1)
    data = bytearray((tmp_path / "audit.log").read_bytes())
    data[20] ^= 1
    (tmp_path / "copy.log").write_bytes(data)
    assert "line 1: changed" in run("audit verify copy.log", capsys, 1)
    assert "no such file" in run("audit verify none.log", capsys, 1)


def test_dry_runs_and_resuming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "from.yml").write_text("keystore: { fs: { path: from } }")
    (tmp_path / "to.yml").write_text("keystore: { fs: { path: to } }")
    (tmp_path / "from").mkdir()
    value = (kes_world.VECTORS / "keystore-fs" / "aes-1").read_bytes()
    for name in ("a1", "a2", "b1", "a1-disabled-", "generation-"):
        (tmp_path / "from" / name).write_bytes(value)
    words = "migrate --from from.yml --to to.yml"
    assert "Would migrate      3 keys." in run(f"{words} --dry-run", capsys)
    assert not list((tmp_path / "to").iterdir())
    assert "Migrated      2 keys successfully!" in run(f"{words} a*", capsys)
    assert {one.name for one in (tmp_path / "to").iterdir()} == {"a1", "a2", "a1-disabled-", "generation-"}
    assert "Migrated      1 keys successfully!" in run(f"tool {words} --merge", capsys)
    assert {one.name for one in (tmp_path / "to").iterdir()} == {one.name for one in (tmp_path / "from").iterdir()}


def test_metrics_document() -> None:
    text = (
        '# HELP kes_http_request_active Requests that run.\nkes_http_request_success{code="200"} 3\n'
        'kes_http_request_success{code="201"} 1\n'
        'kes_http_response_time_bucket{le="0.01"} 4\nkes_http_response_time_bucket{le="+Inf"} 4\n'
        "kes_system_mem_heap_used 5.8e+07\n"
    )
    found = document(text)
    assert found["kes_http_request_success"] == 4
    assert found["kes_http_response_time"] == {"10000000": 4}
    assert found["kes_system_mem_heap_used"] == 58_000_000
    recorded = next(case for case in kes_world.load("cli.json") if case.get("argv", [])[1:2] == ["metric"])
    assert list(found) == list(json.loads(recorded["stdout"].splitlines()[0]))


@pytest.mark.parametrize(
    ("words", "code", "pattern"),
    [
        ("metric --rate 100ms", None, r'\{"kes_http_request_success":\d+.*\}\n'),
        ("log --json", 1, r'"path":"/v1/key/create/fresh-\d+"'),
        ("log", 0, r"\d\d:\d\d:\d\d +200 .*127\.0\.0\.1 +/v1/key/create/fresh-\d+"),
    ],
)
def test_what_runs_until_it_is_interrupted(
    words: str, code: int | None, pattern: str, server: Any, capsys: Any
) -> None:
    process = subprocess.Popen([*KES, *words.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    seen = ""
    try:
        end = time.monotonic() + 20
        number = 0
        while not re.search(pattern, seen) and time.monotonic() < end:
            number += 1
            run(f"key create fresh-{number}", capsys)
            seen += _available(process)
        assert re.search(pattern, seen), (seen, process.poll())
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert code is None or process.returncode == code, err


def _available(process: "subprocess.Popen[str]") -> str:
    import os
    import select

    ready, _, _ = select.select([process.stdout], [], [], 0.2)
    return os.read(process.stdout.fileno(), 65536).decode() if ready else ""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...], capsys: Any) -> None:
    assert main([*path, "--help"], "kes") == 2
    text = capsys.readouterr().err
    assert text.startswith(f"Usage:\n    kes {' '.join(path)}")
    assert "Exit codes:" in text
    assert f"Example:\n    kes {' '.join((*path, EXAMPLES[path]))}".rstrip() in text


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_example_can_be_typed(path: tuple[str, ...]) -> None:
    command = _load(path)
    parsed = parse(shlex.split(EXAMPLES[path]), command.flags, "kes")
    assert len(parsed.words) >= len([word for word in command.usage.split("|")[0].split() if word[0] != "["])


@pytest.mark.parametrize(
    "path", sorted(set(COMMANDS) - {("server",), ("init",), ("update",), ("tool", "identity", "new")})
)
def test_every_command_that_prints_can_print_json(path: tuple[str, ...]) -> None:
    assert JSON in _load(path).flags


def test_json_of_what_the_original_says_nothing_about(server: Any, capsys: Any) -> None:
    assert json.loads(run("key create --json mine", capsys)) == {"name": "mine"}
    assert set(json.loads(run("key dek --json mine", capsys))) == {"plaintext", "ciphertext"}
    assert json.loads(run("key rm --json mine", capsys)) == {"name": "mine"}
    made = json.loads(run("identity new --json", capsys))
    assert json.loads(run(f"identity of --json {made['api_key']}", capsys)) == {"identity": made["identity"]}
    assert json.loads(run(f"identity --json {made['api_key']}", capsys)) == {"identity": made["identity"]}


def test_update_says_what_to_use(capsys: Any) -> None:
    assert "pip install --upgrade strongroom" in run("update --downgrade 2024-01-01", capsys, 1)


def test_the_words_of_2020(server: Any, capsys: Any) -> None:
    """`key create NAME KEY` imports; lists have their old names; what is gone says what to use."""
    run("key create mine pfQZSPpzS2uLW25YZcbnBBXMdZTpXdcqpjBqeqYJIxY=", capsys)
    run("key create one two", capsys)
    assert run("key list", capsys) == "Key\nmine\none\ntwo\n"
    assert run("identity list", capsys) == f"Identity\n{kes_world.clients()['admin'].identity}\n"
    assert run("policy list", capsys) == ""
    assert "failed to import" in run("key create mine pfQZSPpzS2uLW25YZcbnBBXMdZTpXdcqpjBqeqYJIxY=", capsys, 1)
    for words in ("policy add minio minio.json", "policy delete minio", "identity assign minio x", "identity forget x"):
        said = run(words, capsys, 1)
        assert f"kes {' '.join(words.split()[:2])} is not supported" in said
        assert "configuration" in said
    assert "not supported" in run("--auto-completion", capsys, 1)


def test_colours_as_asked(server: Any, capsys: Any) -> None:
    run("key create mine", capsys)
    assert run("key ls --color always", capsys) == "\x1b[4mKey\x1b[0m\nmine\n"
    for when in ("auto", "never"):
        assert run(f"key ls --color {when}", capsys) == "Key\nmine\n"


def test_the_live_view_shows_rates_and_what_only_ours_counts(server: Any) -> None:
    import asyncio
    import io

    from rich.console import Console

    from strongroom.cli.kes import metric

    async def ask() -> str:
        async with connect.client(insecure=False) as kes:
            return await kes.metrics(ours=True)

    text = asyncio.run(ask())
    now = metric.document(text) | metric._ours(text)
    before = now | {"strongroom_kes_audit_lines": 0}
    for shown, rows in ((now, {"Cached keys", "Key store", "Uptime"}), (metric.document(text), {"Uptime"})):
        console = Console(file=io.StringIO(), width=80)
        console.print(metric._table(shown, before, 2.0))
        printed = console.file.getvalue()
        assert all(row in printed for row in rows)
        assert ("Cached keys" in printed) == ("Cached keys" in rows)
    lines = float(str(now["strongroom_kes_audit_lines"]))
    console = Console(file=io.StringIO(), width=80)
    console.print(metric._table(now, before, 2.0))
    assert f"{lines / 2:.1f}" in next(row for row in console.file.getvalue().splitlines() if "Audit lines" in row)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("identity new --key k --cert c --dns münchen", "write it as DNS does"),
        ("identity new --key k --cert c --expiry -1h", "would never be valid"),
        ("identity new --key k --cert c --expiry 99999999999h", "invalid duration"),
        ("identity new --key k --cert c --ip 1.2.3", "IP address"),
        ("identity new --key k --cert c na\udcffme", "character set"),
        ("tool identity new --time=-1h", "would never be valid"),
        ("tool identity new --time=1y", "invalid duration"),
        ("key create na\udcffme", "character set"),
        ("metric --rate 99999999999h", "invalid duration"),
    ],
)
def test_bad_arguments_are_said_in_a_line(server: Any, words: str, problem: str, capsys: Any, tmp_path: Path) -> None:
    told = run(words, capsys, 1)
    assert told.startswith("Error: ")
    assert problem in told
    assert told.count("\n") == 1
    assert not {"k", "c", "private.key", "public.cert"} & {one.name for one in tmp_path.iterdir()}


def test_names_that_are_empty_are_none(server: Any, capsys: Any, tmp_path: Path) -> None:
    assert main(["identity", "new", "--key", "k", "--cert", "c", "--dns", "", "--ip="], "kes") == 0
    from cryptography import x509

    made = x509.load_pem_x509_certificate((tmp_path / "c").read_bytes())
    with pytest.raises(x509.ExtensionNotFound):
        made.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_message_is_any_bytes(server: Any, capsys: Any) -> None:
    run("key create mine", capsys)
    sealed = json.loads(run("key encrypt mine a\udcffb --json", capsys))["ciphertext"]
    opened = json.loads(run(f"key decrypt mine {sealed} --json", capsys))["plaintext"]
    assert opened == "Yf9i"  # 61 ff 62


def test_no_password_is_said(server: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    assert run("identity new --key k --cert c --encrypt", capsys, 1) == "Error: no password was given\n"


@pytest.mark.parametrize("group", [(), ("key",), ("policy",), ("audit",), ("tool",), ("tool", "identity")])
def test_every_group_has_help_with_an_example(group, capsys):
    assert main([*group, "--help"], "kes") == 2
    shown = capsys.readouterr().err
    assert "\nExample:\n    kes " in shown
