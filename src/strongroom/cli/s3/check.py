"""`s3 check DIR`: compares what the folder's databases say with what is there."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from strongroom.errors import Error


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--deep", is_flag=True, help="Read every byte: checksums of all files, SQLite's own check of all pages.")
@click.option("--repair", is_flag=True, help="Count totals anew and remove unneeded files. The server must be stopped.")
@click.option("--certs-dir", "-S", default="", help="The server's certificate folder, for CAs of the key service.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(folder: Path, deep: bool, repair: bool, certs_dir: str, as_json: bool) -> int:
    """Check the folder of an object server, stopped or running.

    Without --repair nothing is changed. Of a running server, files that are being written count as unneeded. With the
    server's key service in the environment (MINIO_KMS_...), tags and locks of encrypted objects are checked too.

    \b
    Example:
      strongroom s3 check --deep ./data/s3

    Exit codes: 0 nothing wrong, 1 problems were found (one line each), or the folder cannot be checked, 2 wrong usage.
    """
    from strongroom.config.environment import process_environment
    from strongroom.config.kms_environment import kms_settings
    from strongroom.s3.upkeep import check as run

    try:
        kms = kms_settings(process_environment())
        certs = Path(certs_dir) if certs_dir else Path.home() / ".minio" / "certs"
        report = run(folder, deep=deep, repair=repair, kms=kms, certs=certs)
    except (Error, OSError) as error:
        print(f"s3 check: {error}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(asdict(report)))
    else:
        for problem in report.problems:
            print(problem)
        looked_at = f"{report.buckets} buckets, {report.versions} versions, {report.files} files"
        found = f"{len(report.problems)} problems, {report.unneeded_files} unneeded files, {report.repaired} repaired"
        tags = f"{report.checked_tags} checked, {report.unchecked_tags} unchecked, {report.unsealed_tags} unsealed"
        print(f"{looked_at}; tags and locks of encrypted versions: {tags}; {found}")
    return 1 if report.problems else 0


def main(words: list[str], name: str) -> int:
    """Parse the words and run; return the exit code."""
    return exit_code(check, words, name)


def exit_code(command: click.Command, words: list[str], name: str) -> int:
    """Run a click command; return its exit code, 2 for wrong usage."""
    try:
        return int(command.main(words, prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as ended:
        return ended.exit_code
