"""The one executable writing into a pipe that nobody reads."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("s3", "--help"), ("up", "--help"), ("mc", "--help")])
def test_a_closed_pipe_is_silent(words):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "strongroom.cli.main", *words], stdout=writer, stderr=subprocess.PIPE,
                          check=False, timeout=30)  # fmt: skip
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode in {0, 1}
