"""`strongroom up`: first start, second start, deaths, ends, refusals."""

import os
import secrets
import signal
import socket
import ssl
import subprocess
import time

import boto3
import pytest
from botocore.config import Config
from chain_process import PROGRAM, ChainProcess, free_port
from cryptography import x509

from strongroom.chain import certificates, settings
from strongroom.chain.folder import Folder


def client(environment):
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        verify=environment["AWS_CA_BUNDLE"],
        config=Config(retries={"max_attempts": 10, "mode": "standard"}),
    )


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def gone(pids, seconds=6):
    end = time.monotonic() + seconds
    while any(map(alive, pids)):
        assert time.monotonic() < end, "children outlived `up`"
        time.sleep(0.02)


@pytest.fixture
def own(tmp_path):
    running = ChainProcess.on_free_ports(tmp_path / "data")
    yield running
    running.stop(signal.SIGKILL)


def test_a_chain_keeps_its_objects_over_restarts_and_kills(own):
    own.start()
    s3 = client(own.environment())
    s3.create_bucket(Bucket="first")
    content = secrets.token_bytes(300_000)
    answer = s3.put_object(Bucket="first", Key="a", Body=content)
    assert answer["ServerSideEncryption"] == "AES256"

    for box in ("s3", "kes", "kms"):
        os.kill(own.children()[box], signal.SIGKILL)
        own.wait_for(lambda event, box=box: event.get("event") == f"{box} runs again")
        assert s3.get_object(Bucket="first", Key="a")["Body"].read() == content
        s3.put_object(Bucket="first", Key=box, Body=content)

    before = own.children().values()
    assert own.stop() == 0
    gone(before)
    own.start()
    assert client(own.environment()).get_object(Bucket="first", Key="kms")["Body"].read() == content

    before = own.children().values()
    own.stop(signal.SIGKILL)
    gone(before)
    own.start()
    assert client(own.environment()).get_object(Bucket="first", Key="s3")["Body"].read() == content


def served(folder, box):
    """Return the serial number of the certificate that a box shows."""
    address, identity = folder.load().address(box), settings.client_pair(folder, "admin")
    context = ssl.create_default_context(cafile=str(settings.authority_pair(folder).certificate))
    context.load_cert_chain(identity.certificate, identity.key)
    with (
        socket.create_connection((address.host, address.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        return x509.load_der_x509_certificate(connection.getpeercert(True)).serial_number


def test_every_box_and_worker_reads_a_renewed_certificate_without_a_restart(own):
    own.start()
    folder = Folder(own.folder)
    authority, children = settings.authority_pair(folder), own.children()
    before = {box: served(folder, box) for box in children}
    certificates.make_authority(authority)
    for box, pid in children.items():
        certificates.make_server(authority, settings.server_pair(folder, box), ["localhost", "127.0.0.1"])
        os.kill(pid, signal.SIGHUP)  # at once after the start: workers may be starting still
    end = time.monotonic() + 20
    while any(served(folder, box) in before.values() for box in [*children, *["s3"] * 10]):
        assert time.monotonic() < end, "an old certificate is still served"
        time.sleep(0.1)
    assert own.children() == children
    s3 = client(own.environment())
    s3.create_bucket(Bucket="renewed")
    s3.put_object(Bucket="renewed", Key="k", Body=b"content")
    assert s3.get_object(Bucket="renewed", Key="k")["Body"].read() == b"content"


def test_nothing_readable_lies_in_the_folder(own):
    own.start()
    s3 = client(own.environment())
    s3.create_bucket(Bucket="quiet")
    small, large = secrets.token_bytes(1000), secrets.token_bytes(3_000_000)
    s3.put_object(Bucket="quiet", Key="small", Body=small)
    s3.put_object(Bucket="quiet", Key="large", Body=large)
    own.stop()
    for path in own.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for plain in (small, large):
                assert not any(
                    plain[i : i + 32] in data for i in range(0, len(plain) - 32, 32 if plain is small else 65536)
                )


def refusal(*words):
    """Run `up` with ports that are free, unless words name others; return its one line."""
    named = {word for word in words if isinstance(word, str)}
    for box in ("s3", "kes", "kms"):
        if f"--{box}" not in named:
            words = (*words, f"--{box}", f"127.0.0.1:{free_port()}")
    done = subprocess.run([*PROGRAM, "up", *map(str, words)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_taken_port_is_one_clear_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = refusal(tmp_path / "data", "--s3", address)
    assert address in line
    assert "--s3" in line
    assert not (tmp_path / "data").exists()


def test_a_folder_that_is_something_else_is_left_alone(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    assert "something else" in refusal(tmp_path)
    assert os.listdir(tmp_path) == ["photo.jpg"]


def test_an_unwritable_folder_is_one_clear_line(tmp_path):
    assert "cannot be written" in refusal("/proc/strongroom")


@pytest.mark.parametrize("words", [["--s3", "nonsense", "x"], ["--root-password-file", "/nonexistent", "x"]])
def test_bad_options_are_one_clear_line(tmp_path, words):
    assert words[0] in refusal(*words[:2], tmp_path / words[2])
