"""sys/: the server about itself, one module per family of routes (vault.md 2)."""

from typing import TYPE_CHECKING

from strongroom.kms.domain.records import Mount
from strongroom.kms.handlers.call import Backend, Router
from strongroom.kms.handlers.system import (
    access,
    audits,
    keys,
    leases,
    misc,
    mounts,
    policies,
    rekey,
    root_tokens,
    storage,
)

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core


class System(Backend):
    """The system backend."""

    kind = "system"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        families = (access, audits, keys, leases, misc, mounts, policies, rekey, root_tokens, storage)
        self.router = Router([entry for family in families for entry in family.routes(core)])
