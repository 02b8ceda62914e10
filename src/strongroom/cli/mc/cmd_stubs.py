"""Commands of the original that we do not have: each says so, exit code 1 (mc.md 2.1, settled.md)."""

from collections.abc import Callable

from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell

REASONS = {
    "sql": "S3 Select is not implemented: download the object, or use a query engine over S3.",
    "od": "Use `strongroom mc cp` or a load generator to measure transfers.",
    "tier": "Tiering to other storage is not implemented.",
    "restore": "There are no tiers to restore from.",
    "replicate": "Replication is not implemented: `mc mirror --watch` copies what changes.",
    "freeze": "Freezing the S3 API is not implemented: `mc admin service stop` ends the server.",
    "heal": "There are no erasure sets to heal: `strongroom s3 check` checks what is stored.",
    "decommission": "There are no pools to decommission: `mc mirror` moves data to another server.",
    "rebalance": "There are no pools to rebalance.",
    "scanner": "The server has no scanner.",
    "top": "Not implemented: `mc admin trace` shows requests as they come.",
    "support": "Vendor support is not part of Strongroom.",
    "license": "Strongroom needs no licence key (Apache-2.0).",
    "idp": "External identity providers are not implemented.",
    "update": "Update Strongroom with the package manager that installed it.",
}


def _stub(name: str) -> Callable[[Shell, Line], None]:
    def run(shell: Shell, line: Line) -> None:
        raise Fatal(f"NotImplemented: `{' '.join(line.path)}` is not supported.", REASONS[name])

    return run


def __getattr__(name: str) -> Callable[[Shell, Line], None]:
    """Return the command of that name."""
    if name not in REASONS:
        raise AttributeError(name)
    return _stub(name)
