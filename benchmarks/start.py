"""How long starting takes: `strongroom --help`, and `strongroom up` from an empty and an existing folder.

    python benchmarks/start.py [--runs 5]

The baseline in the same run is `python -c pass`.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "system"))

from chain_process import PROGRAM, ChainProcess


def timed(action: Callable[[], object]) -> float:
    """Return the seconds an action takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def show(name: str, seconds: list[float]) -> None:
    print(f"{name:<28}median {statistics.median(seconds):6.3f} s   min {min(seconds):6.3f}   max {max(seconds):6.3f}")


def command(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    runs = range(argparse_runs())
    show("python -c pass", [timed(command(sys.executable, "-c", "pass")) for _ in runs])
    show("strongroom --help", [timed(command(*PROGRAM, "--help")) for _ in runs])
    empty, existing, stop = [], [], []
    for _ in runs:
        with tempfile.TemporaryDirectory() as folder:
            chain = ChainProcess.on_free_ports(Path(folder) / "data")
            empty.append(timed(chain.start))
            stop.append(timed(chain.stop))
            existing.append(timed(chain.start))
            chain.stop()
    show("up, empty folder", empty)
    show("up, existing folder", existing)
    show("up, stop", stop)


def argparse_runs() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    return int(parser.parse_args().runs)


if __name__ == "__main__":
    main()
