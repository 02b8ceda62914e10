"""`strongroom env DIR`."""

from collections.abc import Sequence

import click

from strongroom.cli.command import run, show

HELP = """Print shell exports that make ordinary clients use the chain in DIR.

\b
Example:
  eval "$(strongroom env ./data)"
  eval "$(strongroom env --admin ./data)"; kes key ls; vault status

The output holds secrets: it is for `eval`, not for a log.

\b
Exit codes: 0 done, 1 DIR is not a chain's folder, 2 wrong usage.
"""


@click.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", metavar="DIR")
@click.option("--admin", is_flag=True, help="Add the key server's admin identity and the operator's kms token.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def env(folder: str, admin: bool, as_json: bool) -> None:
    from strongroom.chain import env as chain
    from strongroom.chain.folder import Folder

    found = chain.values(Folder(folder), admin)
    show(as_json, found, lambda: chain.shell(found).rstrip("\n"))


def main(words: Sequence[str], name: str) -> int:
    return run(env, words, name)
