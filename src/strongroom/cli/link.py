"""`strongroom link DIR`."""

from collections.abc import Sequence
from pathlib import Path

import click

from strongroom.cli.command import run, show

HELP = """Write links named vault, bao, kes, minio and mc to this executable, so that old scripts run unchanged.

Another program of that name is never overwritten.

\b
Example:
  strongroom link ~/.local/bin
  strongroom link --only mc,kes ~/.local/bin
  strongroom link --remove ~/.local/bin

\b
Exit codes: 0 done, 1 failed (one line says why), 2 wrong usage.
"""


@click.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--only", metavar="NAMES", help="Only these, separated by commas.")
@click.option("--remove", is_flag=True, help="Remove the links instead; other programs stay.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def link(folder: Path, only: str | None, remove: bool, as_json: bool) -> None:
    from strongroom.chain import link as links

    names = tuple(only.split(",")) if only else links.NAMES
    if unknown := [name for name in names if name not in links.NAMES]:
        raise click.UsageError(f"--only: unknown name {unknown[0]!r}; choose from {', '.join(links.NAMES)}")
    change = links.remove if remove else links.write
    done = [str(path) for path in change(folder, names, links.executable())]
    verb = "removed" if remove else "linked"
    show(as_json, {verb: done}, lambda: "\n".join(f"{verb} {path}" for path in done) or "nothing to do")


def main(words: Sequence[str], name: str) -> int:
    return run(link, words, name)
