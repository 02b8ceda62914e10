"""`secrets enable, list, tune, move, disable` (vault.md 10.3)."""

from strongroom.cli.kms import mounts
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.flags import DETAILED
from strongroom.cli.kms.mounted import ENGINES

COMMANDS = {
    "secrets enable": Command(
        ENGINES.enable,
        "[flags] TYPE",
        "Mounts a secrets engine: kv, kv-v2 or transit.",
        "PROGRAM secrets enable -path=kv2 -version=2 kv",
        (1, 1),
        (*mounts.ENABLING, *mounts.ENGINE),
        format=False,
    ),
    "secrets list": Command(
        ENGINES.list,
        "[flags]",
        "Lists the secrets engines that are mounted.",
        "PROGRAM secrets list -detailed",
        flags=(DETAILED,),
    ),
    "secrets tune": Command(
        ENGINES.tune,
        "[flags] PATH",
        "Changes the settings of a mounted engine; only what the flags name.",
        "PROGRAM secrets tune -max-lease-ttl=72h kv/",
        (1, 1),
        (*mounts.TUNING, *mounts.ENGINE),
        format=False,
    ),
    "secrets move": Command(
        ENGINES.move,
        "[flags] SOURCE TARGET",
        "Moves a mounted engine with its data to another path. Policies are not changed.",
        "PROGRAM secrets move kv/ archive/",
        (2, 2),
        format=False,
    ),
    "secrets disable": Command(
        ENGINES.disable,
        "[flags] PATH",
        "Removes a mounted engine and deletes ALL its data, which cannot be undone.",
        "PROGRAM secrets disable kv/",
        (1, 1),
        format=False,
    ),
}
