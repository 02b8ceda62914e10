import pytest
from chain_process import ChainProcess


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """A whole chain over TLS, shared by the tests of a file."""
    running = ChainProcess.on_free_ports(tmp_path_factory.mktemp("chain") / "data")
    running.start()
    yield running
    running.stop()
