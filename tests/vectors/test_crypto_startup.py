"""Which environments a server starts with, and what it says when it does not: as far as the settings decide it."""

import json
from pathlib import Path

import pytest

from strongroom.config.environment import root_credentials, with_file
from strongroom.config.kms_environment import kms_settings
from strongroom.errors import BadSettings

HERE = Path(__file__).parent
RUNS = json.loads((HERE / "sse" / "startup.json").read_text())["runs"]
OVERRIDES = json.loads((HERE / "overrides" / "sse.json").read_text())["startup.json"]
KEY = "my-key:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
FILES = {"k1": KEY, "k2": KEY + "\n", "k3": KEY + " ", "k4": " " + KEY, "k5": "", "k6": KEY + "\r\n"}
API_KEYS = {
    "{api-key}": "kes:v1:AD9E7FSYWrMD+VjhI6q545cYT9YOyFxZb7UnjEepYDRc",
    "{other-api-key}": "kes:v1:AMxvd2uV1l5dDSRwuKZxSjuM5BDemlr+685+JAHA1TuJ",
}
LATER = (  # what only the connection, or a certificate, shows
    "kes missing",
    "kes key of another",
    "kes without ca",
    "kes ca path",
    "kes unreachable",
    "kes endpoint without scheme",
    "kes old CA_PATH",
)


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, newline="")
    (tmp_path / "env").write_text(f'# settings\nexport MINIO_KMS_SECRET_KEY="{KEY}"\n\n')
    return tmp_path


def environment(run, folder):
    found = {"MINIO_ROOT_USER": "minio", "MINIO_ROOT_PASSWORD": "minio123"} | (run.get("env") or {})
    for name in run.get("unset") or ():
        found.pop(name, None)
    places = {"{dir}": str(folder), **API_KEYS}
    for place, path in places.items():
        found = {name: value.replace(place, path) for name, value in found.items()}
    return found


@pytest.mark.parametrize("run", [run for run in RUNS if not run["name"].startswith(LATER)], ids=lambda run: run["name"])
def test_start(run, folder):
    expected = OVERRIDES.get(run["name"], run)
    try:
        used = with_file(environment(run, folder))
        root = root_credentials(used)
        settings = kms_settings(used, old_credentials=root.old)
    except BadSettings as refused:
        assert expected["result"] == "exits", str(refused)  # noqa: PT017 - exits or starts, as the recording says
        said = str(refused).replace(str(folder), "{dir}").splitlines()
        if "output" in expected and said[0].startswith(("Invalid KMS", "Unable", "MINIO_")):
            assert ["FATAL " + said[0], *said[1:]] == expected["output"]
        return
    assert expected["result"] == "starts"
    probe = expected.get("probe") or {}
    if isinstance(probe.get("kms_status"), str):
        assert settings.kes is not None if probe["kms_status"] == "MinIO KES" else settings.static is not None
        used_key = settings.kes or settings.static
        assert probe.get("default_key") in (None, used_key.key_name)
    elif probe.get("kms_status") == 501:
        assert not settings.configured
    if isinstance(probe.get("put_plain"), dict) and probe["put_plain"]["status"] == 200:
        assert (settings.auto_encryption or None) == probe["put_plain"]["sse"]


def test_all_runs_are_there():
    assert len(RUNS) == 93
    assert set(OVERRIDES) <= {run["name"] for run in RUNS}
