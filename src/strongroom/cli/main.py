"""The one executable: looks at the name it is called by, then at its first word, and imports only what that needs."""

import os
import sys
from importlib import import_module
from pathlib import Path

BOXES = {
    "kms": ("strongroom.cli.kms.main", "secrets and master keys, as vault / bao"),
    "kes": ("strongroom.cli.kes.main", "the key server, as kes"),
    "s3": ("strongroom.cli.s3.main", "the object server, as minio"),
    "mc": ("strongroom.cli.mc.main", "the command line for people, as mc"),
    "up": ("strongroom.cli.up", "start the whole chain, encrypted, on this machine"),
    "env": ("strongroom.cli.env", "print shell exports for the chain that `up` runs"),
    "link": ("strongroom.cli.link", "write links named vault, bao, kes, minio, mc"),
}
NAMES = {"vault": "kms", "bao": "kms", "kes": "kes", "minio": "s3", "mc": "mc"}

HELP = """Usage: strongroom COMMAND [ARGUMENT ...]

An object store that keeps everything encrypted, with the two key servers it needs.

Commands:
{commands}

Example:
  strongroom up ./data
  eval "$(strongroom env ./data)"; strongroom mc ls local

Called through a link named vault, bao, kes, minio or mc (see `strongroom link`), it is that program.
`strongroom COMMAND --help` tells more. Exit codes: 0 done, 1 failed (one line says why), 2 wrong usage.
"""


def help_text() -> str:
    """Return the text of `strongroom --help`."""
    return HELP.format(commands="\n".join(f"  {name:<6}{about}" for name, (_, about) in BOXES.items()))


def main() -> int:
    """Run the program that the call names; return or exit with its exit code."""
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has left: nothing to say, nor to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _run() -> int:
    if "STRONGROOM_PARENT" in os.environ:
        import_module("strongroom.chain.child").end_with_parent()
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    box = NAMES.get(name)
    if box is None:
        if not words or words[0] in {"--help", "-h", "help"}:
            print(help_text(), end="")
            return 0
        if words[0] in {"--version", "-v"}:
            print(f"strongroom {import_module('strongroom').__version__}")
            return 0
        box, words = words[0], words[1:]
        name = f"strongroom {box}"
    if box not in BOXES:
        print(f"strongroom: unknown command {box!r}; `strongroom --help` lists the commands", file=sys.stderr)
        return 2
    return int(import_module(BOXES[box][0]).main(words, name) or 0)


if __name__ == "__main__":
    sys.exit(main())
