import itertools

import pytest
from botocore.exceptions import ClientError
from chain_process import ChainProcess
from mc_shell import McShell
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
