"""`s3 backup DIR TARGET`: a copy of a server's folder, also while it runs."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from strongroom.cli.s3.check import exit_code
from strongroom.errors import Error


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.argument("target", type=click.Path(path_type=Path), metavar="TARGET")
@click.option("--databases-only", is_flag=True, help="Leave out the files of bodies above 129 KiB.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def backup(folder: Path, target: Path, databases_only: bool, as_json: bool) -> int:
    """Copy DIR to the new folder TARGET, on which a server can be started.

    Each bucket is copied as it is at one moment; writers are not held up. Files of bodies are hard links where TARGET
    is on the same file system. Everything stays encrypted as it is: the keys are in the key service.

    \b
    Example:
      strongroom s3 backup ./data/s3 /backup/s3-monday

    Exit codes: 0 copied, 1 failed, 2 wrong usage.
    """
    from strongroom.s3.upkeep import copy

    try:
        copied = copy(folder, target, bodies=not databases_only)
    except (Error, OSError) as error:
        print(f"s3 backup: {error}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(asdict(copied)))
        return 0
    print(f"{copied.buckets} buckets, {copied.files} files, {copied.stored} bytes in files")
    return 0


def main(words: list[str], name: str) -> int:
    """Parse the words and run; return the exit code."""
    return exit_code(backup, words, name)
