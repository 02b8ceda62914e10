import itertools
import time

import pytest
from botocore.exceptions import ClientError
from chain_process import ChainProcess
from mc_shell import McShell
from raw_s3 import call, descriptors, resident
from s3_process import S3Process
from vectors.mc_world import Servers


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A whole chain over TLS, shared by the tests of a file."""
    running = ChainProcess.on_free_ports(tmp_path_factory.mktemp("chain") / "data")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def lone_server(tmp_path_factory):
    """An S3 server with a static key over plain HTTP, shared by the files that want nothing special."""
    running = S3Process(tmp_path_factory.mktemp("lone") / "data", MINIO_KMS_AUTO_ENCRYPTION="off").start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def lone(lone_server):
    """A boto3 client of lone_server."""
    return lone_server.client()


_NUMBERS = itertools.count()


@pytest.fixture
def fresh(lone):
    """The name of a new bucket."""
    name = f"fresh-{next(_NUMBERS)}"
    lone.create_bucket(Bucket=name)
    return name


@pytest.fixture
def refused():
    """A function that makes a call that must fail; it returns the status and the code."""

    def call(operation, **arguments):
        with pytest.raises(ClientError) as error:
            operation(**arguments)
        answer = error.value.response
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]

    return call


@pytest.fixture(scope="module")
def mc_servers(tmp_path_factory):
    """The servers of the recorded transcripts of mc, shared by the tests of a file."""
    running = Servers(tmp_path_factory.mktemp("mc-servers"))
    yield running
    running.stop()


@pytest.fixture
def shell(mc_servers, tmp_path):
    """mc with a configuration of its own, and aliases for mc_servers."""
    return McShell(tmp_path, mc_servers)


@pytest.fixture(scope="module")
def hostile_server(tmp_path_factory):
    """A server that is sent what no client sends; `port` is its port."""
    running = S3Process(tmp_path_factory.mktemp("bad") / "data").start()
    assert call(running.port, "PUT", "/bad").status == 200
    assert call(running.port, "PUT", "/bad/k", body=b"kept").status == 200
    for _ in range(3):  # what it will hold anyway
        call(running.port, "PUT", "/bad/warm", body=bytes(4 * 1024 * 1024))
        call(running.port, "GET", "/bad/warm")
    yield running
    running.stop()


@pytest.fixture
def port(hostile_server):
    return hostile_server.port


# what a test may leave behind: buffers that wait for their next use, and the allocator's
KEPT_BYTES = 64 * 1024 * 1024


@pytest.fixture
def unharmed(hostile_server):
    """After every test the server is the same process, answers, and holds no more memory and no more descriptors."""
    before, open_before = resident(hostile_server.process.pid), descriptors(hostile_server.process.pid)
    yield
    assert call(hostile_server.port, "GET", "/bad/k").body == b"kept"
    end = time.monotonic() + 10
    while resident(hostile_server.process.pid) - before > KEPT_BYTES:
        assert time.monotonic() < end, "memory is kept"
        time.sleep(0.05)
    while descriptors(hostile_server.process.pid) > open_before + 20:
        assert time.monotonic() < end, "connections are kept open"
        time.sleep(0.05)
