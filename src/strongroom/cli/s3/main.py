"""`strongroom s3 …`, also called as `minio …`: finds the command and imports only that."""

import sys
from importlib import import_module

COMMANDS = {
    "server": "start the object server",
    "check": "compare a server's databases with its files",
    "backup": "copy a server's folder, also while it runs",
    "import": "copy everything from another S3 server",
}

HELP = """Usage: {name} COMMAND [ARGUMENT ...]

The object server.

Commands:
{commands}

Example:
  {name} server ./data --address :9000

`{name} COMMAND --help` tells more. Exit codes: 0 done, 1 failed (one line says why), 2 wrong usage.
"""


def main(words: list[str], name: str) -> int:
    """Run a command; return its exit code."""
    if not words or words[0] in ("--help", "-h", "help"):
        commands = "\n".join([f"  {command:<10}{about}" for command, about in COMMANDS.items()])
        print(HELP.format(name=name, commands=commands), end="")
        return 0
    if words[0] in ("--version", "-v"):
        print(f"strongroom {import_module('strongroom').__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"{name}: unknown command {words[0]!r}; `{name} --help` lists the commands", file=sys.stderr)
        return 2
    return int(import_module(f"strongroom.cli.s3.{words[0]}").main(words[1:], f"{name} {words[0]}"))
