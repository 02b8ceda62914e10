"""`strongroom up DIR`."""

import asyncio
import sys
from collections.abc import Sequence

import click

from strongroom.cli.command import run, show

HELP = """Start the whole chain, encrypted, on this machine, and keep it running.

DIR is made when it is not there: certificates, keys, data and logs all lie in it. Started again on the same DIR it
asks nothing and keeps every setting that is not named.

\b
Example:
  strongroom up ./data
  eval "$(strongroom env ./data)"; aws s3 mb s3://first

\b
Exit codes: 0 ended by Ctrl-C or SIGTERM, 1 failed (one line says why), 2 wrong usage.
"""


@click.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", metavar="DIR")
@click.option("--s3", metavar="HOST:PORT", help="S3 address (127.0.0.1:9000).")
@click.option("--kes", metavar="HOST:PORT", help="Key server address (127.0.0.1:7373).")
@click.option("--kms", metavar="HOST:PORT", help="Address of the box that keeps master keys (127.0.0.1:8200).")
@click.option("--http/--https", "http", default=None, help="S3 without TLS; the key boxes always use it.")
@click.option("--root-user", metavar="NAME", help="S3 root user (strongroom).")
@click.option("--root-password-file", metavar="FILE", help="File with the S3 root password (one is made).")
@click.option("--json", "as_json", is_flag=True, help="Print addresses and readiness as JSON lines.")
def up(folder: str, as_json: bool, **wishes: str | bool | None) -> None:
    from strongroom.chain import up as chain
    from strongroom.chain.folder import Folder

    wish = chain.Wish(**wishes)  # type: ignore[arg-type]  # click gives each option its type
    place = Folder(folder)
    settled = chain.settle(place, wish)
    place.make(settled)
    place.lock()
    identities = chain.prepare(place, settled, wish)

    def say(message: str) -> None:
        show(as_json, {"event": message}, lambda: f"strongroom up: {message}")
        sys.stdout.flush()

    def ready() -> None:
        addresses = {"s3": settled.s3_url()} | {box: settled.address(box).url() for box in ("kes", "kms")}
        record = {"ready": True, **addresses, "folder": str(place.path)}
        show(as_json, record, lambda: _next_steps(addresses, folder))
        sys.stdout.flush()

    asyncio.run(chain.run(chain.Up(place, settled, identities, say), ready))


def _next_steps(addresses: dict[str, str], folder: str) -> str:
    return f"""\
S3   {addresses["s3"]}
KES  {addresses["kes"]}
KMS  {addresses["kms"]}
Next, in another terminal:
  eval "$(strongroom env {folder})"
  aws s3 mb s3://first && aws s3 cp README.md s3://first/
  strongroom mc ls local/first
ready"""


def main(words: Sequence[str], name: str) -> int:
    return run(up, words, name)
