"""`kes ls`: keys, identities or policies by prefix (kes.md 10.2)."""

from typing import TYPE_CHECKING

from strongroom.cli.kes.connect import run
from strongroom.cli.kes.flags import INSECURE, JSON, Command, Failed, Flag, Parsed
from strongroom.cli.kes.keys import print_names

if TYPE_CHECKING:
    from strongroom.sdk.kes import KesClient


def ls(parsed: Parsed) -> int:
    """List names."""
    parsed.at_most(1)
    if parsed.on("policy") and parsed.on("identity"):
        raise Failed("'-p / --policy' and '-i / --identity' must not be used at the same time")
    pattern = (parsed.words[0] if parsed.words else "").removesuffix("*") + "*"

    async def work(kes: "KesClient") -> int:
        if parsed.on("identity"):
            names, heading = await kes.identities(pattern), "Identity"
        elif parsed.on("policy"):
            names, heading = await kes.policies(pattern), "Policy"
        else:
            names, heading = await kes.keys(pattern), "Key"
        print_names(names, heading, as_json=parsed.on("json"), both=False)
        return 0

    return run(work, insecure=parsed.on("insecure"), server=parsed["server"], api_key=parsed["api-key"])


LS = Command(
    "[PREFIX]",
    "List keys, or with -i identities, with -p policies.",
    (
        INSECURE,
        JSON,
        Flag("api-key", "a", help="The API key"),
        Flag("server", "s", help="The server, HOST:PORT"),
        Flag("identity", "i", switch=True, help="List identities"),
        Flag("policy", "p", switch=True, help="List policies"),
    ),
    ls,
)
