"""The command line against the recording of the reference (tests/vectors/kms/cli.json), case by case and in order."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import kms_cli_replay as replay
import peers

RECORDING = replay.load()
OVERRIDES = replay.overrides()
HELP = "<help text>"
SERVER_WORDS = "server"  # those cases start a server: tests/system and the kms box's own tests have them


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(folder: Path) -> None:
    """Make the guide's self-signed certificate, with the Python library that the product uses itself."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "vault-tls.crt").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "vault-tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def prepare(folder: Path) -> None:
    (folder / "minio-kes-policy.hcl").write_text(replay.POLICY)
    (folder / "fmt.hcl").write_text('path "a" {capabilities=["read","list"]}\n')


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server does not listen")


def settle(player: replay.Replay, case: dict[str, Any]) -> None:
    """Wait until a server has a leader again where the recording had one."""
    wanted = "HA Mode                 active" in case["stdout"] or case["argv"][1:3] == ["operator", "members"]
    until = time.monotonic() + 20
    while wanted and "unseal" not in case["argv"] and time.monotonic() < until:
        shown = player.run({"argv": ["bao", "status"], "stdout": ""}).out
        if "HA Mode                 active" in shown or "HA Enabled      false" in shown:
            return
        time.sleep(0.2)


def play(
    group: str, folder: Path, command: list[str], config: str, port: int, cluster: int, *, tls: bool
) -> dict[str, tuple[dict[str, Any], replay.Outcome, replay.Replay]]:
    """Run all cases of a group against a server that is started when the cases first need it."""
    scheme = "https" if tls else "http"
    environment = {"VAULT_ADDR": f"{scheme}://127.0.0.1:{port}", "HOME": str(folder)}
    environment |= {"VAULT_SKIP_VERIFY": "true"} if tls else {}
    player = replay.Replay(
        folder, f"127.0.0.1:{port}", f"127.0.0.1:{cluster}", environment,
        changes=OVERRIDES, suffix="" if tls else " [plain]",
    )  # fmt: skip
    (folder / "server.json").write_text(config)
    log = (folder / "server.log").open("wb")
    process: subprocess.Popen[bytes] | None = None
    found = {}
    before = Path.cwd()
    os.chdir(folder)
    try:
        for number, case in enumerate(RECORDING[group]):
            if process is None and "no server" not in (case.get("note") or ""):
                process = subprocess.Popen([*command, "-config=server.json"], stdout=log, stderr=subprocess.STDOUT)
                wait_for(port, process)
            if case["argv"][:2] != ["bao", SERVER_WORDS]:
                settle(player, case)
                found[f"{number:03d} {replay.name_of(case)}"] = (case, player.run(case), player)
    finally:
        os.chdir(before)
        if process is not None:
            process.terminate()
            process.wait(20)
        log.close()
    return found


def openbao_config(folder: Path, port: int, cluster: int, *, tls: bool) -> str:
    listener: dict[str, Any] = {"address": f"127.0.0.1:{port}"}
    if tls:
        listener |= {
            "tls_cert_file": "vault-tls.crt",
            "tls_key_file": "vault-tls.key",
            "disable_unauthed_rekey_endpoints": False,
            "disable_unauthed_generate_root_endpoints": False,
        }
        (folder / "raft").mkdir()
    else:
        listener |= {"tls_disable": True, "disable_unauthed_rekey_endpoints": False}
    return json.dumps(
        {
            "storage": {"raft": {"path": "raft", "node_id": "n1"}} if tls else {"inmem": {}},
            "listener": [{"tcp": listener}],
            "api_addr": f"{'https' if tls else 'http'}://127.0.0.1:{port}",
            "cluster_addr": f"https://127.0.0.1:{cluster}",
            "default_lease_ttl": "168h",
            "max_lease_ttl": "720h",
        }
    )


Played = dict[str, tuple[dict[str, Any], replay.Outcome, replay.Replay]]


@pytest.fixture(scope="module")
def openbao_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    program = peers.find("bao")
    folder = tmp_path_factory.mktemp("openbao-tls")
    certificate(folder)
    prepare(folder)
    port, cluster = free_port(), free_port()
    config = openbao_config(folder, port, cluster, tls=True)
    yield play("cases", folder, [program, "server"], config, port, cluster, tls=True)
    shutil.rmtree(folder / "raft", ignore_errors=True)


@pytest.fixture(scope="module")
def openbao_plain(tmp_path_factory: pytest.TempPathFactory) -> Played:
    program = peers.find("bao")
    folder = tmp_path_factory.mktemp("openbao-plain")
    port, cluster = free_port(), free_port()
    config = openbao_config(folder, port, cluster, tls=False)
    return play("cases_plain_http_inmem", folder, [program, "server"], config, port, cluster, tls=False)


def strongroom_config(port: int, *, tls: bool) -> str:
    listener: dict[str, Any] = {"address": f"127.0.0.1:{port}", "tls_disable": not tls}
    if tls:
        listener |= {"tls_cert_file": "vault-tls.crt", "tls_key_file": "vault-tls.key"}
    return json.dumps(
        {
            "storage": {"file": {"path": "vault/file"}} if tls else {"inmem": {}},
            "listener": {"tcp": listener},
            "api_addr": f"{'https' if tls else 'http'}://127.0.0.1:{port}",
            "default_lease_ttl": "168h",
            "max_lease_ttl": "720h",
            "disable_mlock": True,
        }
    )


OURS = [sys.executable, "-m", "strongroom.cli.main", "kms", "server"]


@pytest.fixture(scope="module")
def ours_tls(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("ours-tls")
    certificate(folder)
    prepare(folder)
    port = free_port()
    return play("cases", folder, OURS, strongroom_config(port, tls=True), port, free_port(), tls=True)


@pytest.fixture(scope="module")
def ours_plain(tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("ours-plain")
    port = free_port()
    config = strongroom_config(port, tls=False)
    return play("cases_plain_http_inmem", folder, OURS, config, port, free_port(), tls=False)


def names(group: str) -> list[str]:
    return [
        f"{number:03d} {replay.name_of(case)}"
        for number, case in enumerate(RECORDING[group])
        if case["argv"][:2] != ["bao", SERVER_WORDS]
    ]


def is_status(case: dict[str, Any]) -> bool:
    return case["argv"][1:2] == ["status"] or case["argv"][1:3] == ["operator", "unseal"]


def check(played: Played, name: str, *, ours: bool = False) -> None:
    case, outcome, player = played[name]
    changes = OVERRIDES.get(replay.name_of(case), {})
    changes = changes | changes.get("ours", {}) if ours else changes
    expected = {
        **case,
        **{member: changes[member] for member in ("exit_code", "stdout", "stderr") if member in changes},
    }
    assert outcome.code == expected["exit_code"], outcome.err
    for member, printed in (("stdout", outcome.out), ("stderr", outcome.err)):
        if expected[member] == HELP:
            assert printed.startswith("Usage: bao")
            continue
        wanted = player.comparable(expected[member], printed=False)
        got = player.comparable(printed, printed=True)
        if is_status(case) and (ours or "unseal" in case["argv"]):  # right behind an unseal nobody may lead yet
            wanted, got = replay.one_server(wanted), replay.one_server(got)
        if "members" in case["argv"]:  # its column widths follow the host's name and the port
            wanted, got = (" ".join(text.replace("-", "").split()[:12]) for text in (wanted, got))
        assert got == wanted


@pytest.mark.parametrize("name", names("cases"))
def test_against_openbao(openbao_tls: Played, name: str) -> None:
    check(openbao_tls, name)


@pytest.mark.parametrize("name", names("cases_plain_http_inmem"))
def test_against_openbao_plain_http(openbao_plain: Played, name: str) -> None:
    check(openbao_plain, name)


@pytest.mark.parametrize("name", names("cases"))
def test_against_ours(ours_tls: Played, name: str) -> None:
    check(ours_tls, name, ours=True)


@pytest.mark.parametrize("name", names("cases_plain_http_inmem"))
def test_against_ours_plain_http(ours_plain: Played, name: str) -> None:
    check(ours_plain, name, ours=True)


# Configurations of the recording's `server` cases; it does not tell them, but the answers do.
CONFIGURATIONS = {
    "bad.json": {"storage": {"inmem": {}}, "listener": [{"address": "127.0.0.1:1"}]},
    "nostorage.json": {"listener": {"tcp": {"address": "127.0.0.1:1", "tls_disable": True}}},
}
# The guide's configuration has storage "file", which the reference lost and ours has: tests/system/test_guide_vault.py.
REFUSED = [
    case
    for case in RECORDING["cases"]
    if case["argv"][:2] == ["bao", SERVER_WORDS] and case["exit_code"] == 1 and "file.json" not in case["argv"]
]


@pytest.mark.parametrize("case", REFUSED, ids=replay.name_of)
def test_refused_server(case: dict[str, Any], tmp_path: Path) -> None:
    for name, configuration in CONFIGURATIONS.items():
        (tmp_path / name).write_text(json.dumps(configuration))
    (tmp_path / "bao").symlink_to(Path(sys.executable).with_name("strongroom"))
    words = [str(tmp_path / "bao"), *case["argv"][1:]]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == case["exit_code"]
    assert done.stdout == case["stdout"]
