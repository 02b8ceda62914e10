"""Run every benchmark, one after the other, each in a process of its own: `make bench`.

A figure is worth something as a ratio in the same run: each script prints a baseline or a peer beside it.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
HELPERS = {"__main__.py", "load.py"}


def main() -> int:
    failed = []
    for script in sorted(HERE.glob("*.py")):
        if script.name in HELPERS:
            continue
        print(f"== {script.stem}", flush=True)
        if subprocess.run([sys.executable, str(script)], check=False).returncode != 0:
            failed.append(script.stem)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
