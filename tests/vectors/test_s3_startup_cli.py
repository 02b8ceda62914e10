"""Every recorded start, through the command line as a process of its own: exits or starts, and what it does then.

The key server of the recordings is ours; its port stands where the recording has 27410. Texts of refusals are compared
by test_crypto_startup.py, as far as the settings decide them.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from kes_threads import running
from system.chain_process import PROGRAM, free_port
from system.keys_world import signed_get

from strongroom.chain.certificates import Pair, make_authority, make_identity, make_server
from strongroom.kes.domain import storedkey
from strongroom.kes.domain.policy import Policy
from strongroom.kes.domain.records import StoredKey
from strongroom.kes.domain.settings import FsSettings, Settings, TlsSettings
from strongroom.kes.wire.apikey import ApiKey

HERE = Path(__file__).parent
RUNS = json.loads((HERE / "sse" / "startup.json").read_text())["runs"]
OVERRIDES = json.loads((HERE / "overrides" / "sse.json").read_text())
EXPECTED = {**OVERRIDES["startup.json"], **OVERRIDES.get("startup.json, as a process", {})}
KEY = "my-key:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
FILES = {"k1": KEY, "k2": KEY + "\n", "k3": KEY + " ", "k4": " " + KEY, "k5": "", "k6": KEY + "\r\n", "nocert": "x"}
AT_ONCE = 3
START_SECONDS = 40.0


class World:
    """The recordings' files, and a key server with two rights: everything, and nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in FILES.items():
            (folder / name).write_text(text, newline="")
        (folder / "env").write_text(f'# settings\nexport MINIO_KMS_SECRET_KEY="{KEY}"\n\n')
        authority, self.server = self.pair("authority"), Pair(folder / "kes.crt", folder / "kes.key")
        make_authority(authority)
        make_server(authority, self.server, ["127.0.0.1"])
        (folder / "tls").mkdir()
        (folder / "tls" / "public.crt").write_bytes(authority.certificate.read_bytes())
        self.identity = make_identity(self.pair("minio"), "minio")
        make_identity(self.pair("other"), "other")
        self.api_key, self.other_api_key = ApiKey.generate(), ApiKey.generate()
        keys = folder / "keys"
        keys.mkdir(mode=0o700)
        stored = StoredKey(bytes(range(32)), hmac_key=bytes(range(1, 33)))
        (keys / "my-key").write_bytes(storedkey.encode(stored))

    def pair(self, name: str) -> Pair:
        return Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def settings(self, *, denying: bool) -> Settings:
        verbs = ("create", "generate", "decrypt", "hmac")
        rights = tuple(f"/v1/key/{verb}/{name}" for verb in verbs for name in ("my-key", "auto-created"))
        policy = Policy("all", () if denying else rights, identities=(self.identity, self.api_key.identity))
        tls = TlsSettings(str(self.server.key), str(self.server.certificate))
        store = FsSettings(str(self.folder / "keys"))
        return Settings(host="127.0.0.1", port=0, admin="0" * 64, tls=tls, policies=(policy,), store=store)


class Ports:
    """Where the recorded ports are here."""

    def __init__(self, kes: int, denying: int) -> None:
        self.kes, self.denying = kes, denying

    def put(self, text: str, name: str) -> str:
        first = self.denying if name == "kes denies everything" else self.kes
        text = text.replace("274{10...11}", f"{{{first}...{first + 1}}}").replace(
            "274{11...10}", f"{{{first + 1}...{first}}}"
        )
        return text.replace("27410", str(first)).replace("27419", "1")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("startup"))
    with running(made.settings(denying=False)) as kes, running(made.settings(denying=True)) as denying:
        made.ports = Ports(kes.port, denying.port)
        yield made


def environment(world, run) -> dict[str, str]:
    found = {"MINIO_ROOT_USER": "minio", "MINIO_ROOT_PASSWORD": "minio123"} | (run.get("env") or {})
    for name in run.get("unset") or ():
        found.pop(name, None)
    places = {
        "{dir}": str(world.folder),
        "{kes}": str(world.folder),
        "{api-key}": world.api_key.text(),
        "{other-api-key}": world.other_api_key.text(),
    }
    for place, text in places.items():
        found = {name: value.replace(place, text) for name, value in found.items()}
    found = {name: world.ports.put(value, run["name"]) for name, value in found.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MINIO_", "STRONGROOM_"))}
    return {**kept, **found, "HOME": str(world.folder / "home"), "STRONGROOM_S3_WORKERS": "1"}


def outcome(world, run, drive: Path) -> dict[str, object]:
    """Start the server, ask what the recorder asked, stop it."""
    port, variables = free_port(), environment(world, run)
    log = drive.parent / f"{drive.name}-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*PROGRAM, "s3", "server", str(drive), "--address", f"127.0.0.1:{port}"],
            env=variables, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if process.poll() is not None:
                return {"result": "exits", "exit_code": process.returncode, "said": log.read_text()}
            if answers(f"http://127.0.0.1:{port}/minio/health/live"):
                found = probe(f"http://127.0.0.1:{port}", variables)
                return {"result": "starts", "probe": found, "said": log.read_text()}
            time.sleep(0.05)
        raise AssertionError(f"{run['name']}: no answer")
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def probe(url: str, variables: dict[str, str]) -> dict[str, object]:
    user = variables.get("MINIO_ROOT_USER") or variables.get("MINIO_ACCESS_KEY") or "minioadmin"
    secret = variables.get("MINIO_ROOT_PASSWORD") or variables.get("MINIO_SECRET_KEY") or "minioadmin"
    if "MINIO_API_ROOT_ACCESS" in variables:
        user, secret = "minio", "minio123"  # as the recorder did
    s3 = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=user, aws_secret_access_key=secret, region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )  # fmt: skip
    status, document = signed_get(url + "/minio/kms/v1/status", (user, secret))
    made = asked(lambda: s3.create_bucket(Bucket="probe"))
    found: dict[str, object] = {
        "create_bucket": [made["status"], made["code"]] if "code" in made else made["status"],
        "put_plain": asked(lambda: s3.put_object(Bucket="probe", Key="plain", Body=b"x")),
        "put_sse_s3": asked(lambda: s3.put_object(Bucket="probe", Key="s", Body=b"x", ServerSideEncryption="AES256")),
        "kms_status": document.get("name", status),
    }
    if "default-key-id" in document:
        found["default_key"] = document["default-key-id"]
    try:
        with urllib.request.urlopen(url + "/minio/health/ready", timeout=20) as answer:
            found["health_ready"] = answer.status
    except urllib.error.HTTPError as error:
        found["health_ready"] = error.code
    return found


def asked(call) -> dict[str, object]:
    try:
        answer = call()
    except ClientError as error:
        response = error.response
        return {
            "status": response["ResponseMetadata"]["HTTPStatusCode"],
            "sse": None,
            "code": response["Error"]["Code"],
        }
    return {"status": answer["ResponseMetadata"]["HTTPStatusCode"], "sse": answer.get("ServerSideEncryption")}


def drives(tmp_path: Path) -> list[list[tuple[dict, Path]]]:
    """Return the runs in groups that share a drive, which go one after the other."""
    groups: list[list[tuple[dict, Path]]] = []
    for number, run in enumerate(RUNS):
        if run["name"].startswith("same drive"):
            groups[-1].append((run, groups[-1][-1][1]))
        else:
            groups.append([(run, tmp_path / f"drive-{number}")])
    return groups


def wrong(run, found) -> str:
    """Say how an outcome differs from what is expected; "" when it does not."""
    expected = {**run, **EXPECTED.get(run["name"], {})}
    if found["result"] != expected["result"]:
        return f"{run['name']}: {found['result']} instead of {expected['result']}: {found['said'][-300:]}"
    if found["result"] == "exits":
        fine = found["exit_code"] == expected.get("exit_code", 1) and re.search("^FATAL ", found["said"], re.MULTILINE)
        return "" if fine else f"{run['name']}: exit code {found['exit_code']}: {found['said'][-300:]}"
    recorded = expected.get("probe") or {}
    different = {name: (value, found["probe"].get(name)) for name, value in recorded.items()
                 if found["probe"].get(name) != value}  # fmt: skip
    return f"{run['name']}: {different}" if different else ""


@pytest.mark.timeout(400)
def test_every_start(world, tmp_path):
    """Sse.md 18 rows 9, 11 and 12: no key service that answers, no such key file, typos."""

    def go(group):
        return [wrong(run, outcome(world, run, drive)) for run, drive in group]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = [text for texts in pool.map(go, drives(tmp_path)) for text in texts if text]
    assert not failures, "\n".join(failures)


def test_overrides_are_of_runs():
    assert set(EXPECTED) <= {run["name"] for run in RUNS}
    assert sys.executable
