"""minio-go, minio-py, rclone and restic test the S3 servers that they talk to; so they test ours."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Where minio-go wants what its server answers, and we answer as AWS: owners and storage class of unfinished uploads,
# and a key marker that its own key is not behind.
OURS = {"testListMultipartUpload"}
# What the compatibility table calls missing: reading inside archives, Select, Snowball, prefixes without versions.
LACKING = {
    "testGetObjectS3Zip",
    "test_select_object_content",
    "test_upload_snowball_objects",
    "test_upload_snowball_objects_with_staging",
    "test_set_get_bucket_versioning",
    "testBucketNotification",  # wants a queue that is configured
    "testListObjects",  # listings tell no storage class but STANDARD
}


def mint(environment: dict[str, str]) -> dict[str, str]:
    """Return what the suites of MinIO's libraries want to know."""
    known = {"ACCESS_KEY": environment["AWS_ACCESS_KEY_ID"], "SECRET_KEY": environment["AWS_SECRET_ACCESS_KEY"]}
    endpoint = environment["AWS_ENDPOINT_URL"].removeprefix("https://")
    modes = {"ENABLE_HTTPS": "1", "MINT_MODE": "full", "ENABLE_KMS": "1", "RUN_ON_FAIL": "1"}
    return environment | known | modes | {"SERVER_ENDPOINT": endpoint}


def check(output: str, at_least: int) -> None:
    """Check the JSON lines of such a suite: what failed is known, and most of it ran."""
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    name = {id(line): re.split(r"[ :]+", line["name"])[1] for line in lines}
    bad = [line for line in lines if line["status"] == "FAIL" and name[id(line)] not in OURS]
    assert not bad, bad
    assert {name[id(line)] for line in lines if line["status"] == "NA"} <= LACKING
    assert sum(line["status"] == "PASS" for line in lines) >= at_least


def test_minio_go(environment, modules):
    source = modules.copy("github.com/minio/minio-go/v7", "v7.0.90")
    folder = source / "functional"
    folder.mkdir()
    (source / "functional_tests.go").rename(folder / "main.go")
    subprocess.run(["go", "build", "-tags", "mint", "-o", "functional", "."], cwd=folder, check=True)
    done = run(["./functional"], folder, mint(environment))
    check(done.stdout, 155)


def test_minio_py(environment, tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    fetch = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "minio==7.2.20"]
    subprocess.run([str(python), *fetch], cwd=tmp_path, check=True)
    subprocess.run(["tar", "xzf", "minio-7.2.20.tar.gz"], cwd=tmp_path, check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "./minio-7.2.20"], cwd=tmp_path, check=True)
    command = [str(python), "minio-7.2.20/tests/functional/tests.py"]
    done = run(command, tmp_path, mint(environment))
    check(done.stdout, 57)


@pytest.mark.parametrize("package", ["backend/s3", "fs/operations", "fs/sync", "vfs"])
def test_rclone(environment, modules, tmp_path, package):
    source = modules.folder / "rclone"
    if not source.exists():
        modules.copy("github.com/rclone/rclone", "v1.69.1")
    (tmp_path / "rclone.conf").write_text(
        "[TestS3Ours]\ntype = s3\nprovider = Minio\nregion = us-east-1\nenv_auth = true\n"
        f"endpoint = {environment['AWS_ENDPOINT_URL']}\n"
    )
    run_go(source / package, environment | {"RCLONE_CONFIG": str(tmp_path / "rclone.conf")}, "-remote", "TestS3Ours:")


def test_restic(environment, modules):
    source = modules.copy("github.com/restic/restic", "v0.17.3")
    own = {
        "RESTIC_TEST_S3_KEY": environment["AWS_ACCESS_KEY_ID"],
        "RESTIC_TEST_S3_SECRET": environment["AWS_SECRET_ACCESS_KEY"],
        "RESTIC_TEST_S3_REPOSITORY": f"s3:{environment['AWS_ENDPOINT_URL']}/restic-own-test",
    }
    run_go(source / "internal/backend/s3", environment | own, "-test.run", "TestBackendS3")


def run_go(package: Path, environment: dict[str, str], *options: str) -> None:
    """Build a package's tests and run them where they lie."""
    subprocess.run(["go", "test", "-c", "-o", "own.test", "."], cwd=package, check=True)
    command = ["./own.test", "-test.v", *options]
    done = run(command, package, environment)
    assert "--- PASS" in done.stdout
    failed = [line for line in done.stdout.splitlines() if "--- FAIL" in line]
    assert done.returncode == 0, failed or done.stdout[-3000:]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a suite to its end."""
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=900)
