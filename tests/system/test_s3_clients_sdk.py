"""The programs of tests/clients, on six SDKs, over TLS against a whole chain, in every mode that they can speak."""

import itertools
import os
import shutil
import subprocess

import peers
import pytest
from chain_process import PROGRAM
from client_shell import run

CLIENTS = peers.ROOT / "tests" / "clients"
MODES = ["sse-s3", "sse-kms", "sse-c"]
KEY = "strongroom-default"


def installed(name):
    """Return .peers/NAME, where `.ci/peers` puts an SDK."""
    folder = peers.ROOT / ".peers" / name
    if not folder.is_dir():
        peers.missing(f"the SDK in .peers/{name}")
    return folder


@pytest.fixture(scope="module")
def minio_go(tmp_path_factory):
    """Build the program offline, from what `.ci/peers` fetched."""
    go, folder = peers.find("go"), installed("go")
    program = tmp_path_factory.mktemp("go") / "minio-go"
    caches = {"GOMODCACHE": str(folder / "mod"), "GOCACHE": str(folder / "cache"), "GOFLAGS": "-modcacherw"}
    environment = {**os.environ, **caches, "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    run([go, "build", "-C", CLIENTS / "go", "-o", program, "."], environment, 300)
    return program


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Return a function: a program's copy, beside the packages it imports."""
    folder = tmp_path_factory.mktemp("js")
    (folder / "node_modules").symlink_to(installed("js") / "node_modules")
    return lambda name: shutil.copy(CLIENTS / "js" / name, folder)


@pytest.fixture(scope="module")
def trust(chain, tmp_path_factory):
    """Return the chain's authority as Java takes it."""
    store = tmp_path_factory.mktemp("java") / "trust.p12"
    file = chain.environment()["KES_CA"]
    options = ["-noprompt", "-alias", "chain", "-file", file, "-keystore", store, "-storepass", "changeit"]
    run([peers.find("keytool"), "-importcert", *options], os.environ)
    return [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]


@pytest.mark.parametrize("mode", MODES)
def test_minio_go(chain, minio_go, mode):
    assert "all well" in run([minio_go, mode, f"minio-go-{mode}", KEY], chain.environment())


@pytest.mark.parametrize(("program", "mode"), [("aws-sdk", "dsse"), *itertools.product(["aws-sdk", "minio"], MODES)])
def test_javascript(chain, script, program, mode):
    environment = chain.environment()
    environment |= {"NODE_EXTRA_CA_CERTS": environment["KES_CA"]}
    words = [peers.find("node"), script(f"{program}.mjs"), mode, f"{program}-js-{mode}", KEY]
    assert "all well" in run(words, environment)


def python_with(package):
    """Return `.ci/peers`'s Python, which has a package that is not among our own."""
    program = peers.ROOT / ".peers" / "bin" / "python"
    if not program.exists() or subprocess.run([program, "-c", f"import {package}"], capture_output=True).returncode:
        peers.missing(f"the Python package {package}")
    return program


@pytest.mark.parametrize("mode", MODES)
def test_rust_object_store(chain, mode):
    words, bucket = [python_with("obstore"), CLIENTS / "python" / "rust_object_store.py"], f"rust-{mode}"
    run([*PROGRAM, "mc", "mb", f"local/{bucket}"], chain.environment())
    assert "all well" in run([*words, mode, bucket, KEY], chain.environment())


def test_aws_sdk_for_cplusplus(chain):
    words = [python_with("pyarrow"), CLIENTS / "python" / "cplusplus_sdk.py", "cplusplus"]
    assert "all well" in run(words, chain.environment())


@pytest.mark.parametrize("mode", MODES)
def test_aws_sdk_for_java(chain, trust, mode):
    java = [peers.find("java"), *trust, "-cp", f"{installed('java')}/*", CLIENTS / "java" / "Client.java"]
    assert "all well" in run([*java, mode, f"java-{mode}", KEY], chain.environment())
