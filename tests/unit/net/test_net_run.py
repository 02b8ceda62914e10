"""Signals: SIGTERM and SIGINT stop, SIGHUP reloads, the exit code is main's."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
from strongroom.net.run import run
async def main(signals):
    signals.on_reload(lambda: print("reload", flush=True))
    print("ready", flush=True)
    await signals.stopped.wait()
    print("bye", flush=True)
    return 7
raise SystemExit(run(main))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals(number):
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "reload\n"
        process.send_signal(number)
        assert process.stdout.readline() == "bye\n"
        assert process.wait(10) == 7
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
