"""The engines and auth methods that can be mounted, by type."""

from collections.abc import Callable

from strongroom.kms.domain.records import Mount
from strongroom.kms.handlers.approle import AppRole
from strongroom.kms.handlers.call import Backend, Router
from strongroom.kms.handlers.cert import Cert
from strongroom.kms.handlers.core import Core
from strongroom.kms.handlers.kubernetes import Kubernetes
from strongroom.kms.handlers.kv1 import Cubbyhole, Kv1
from strongroom.kms.handlers.kv2 import Kv2
from strongroom.kms.handlers.system import System
from strongroom.kms.handlers.token_auth import TokenAuth
from strongroom.kms.handlers.transit import Transit
from strongroom.kms.handlers.userpass import UserPass


class Nowhere(Backend):
    """A mount that is listed but answers nothing (identity/)."""

    def __init__(self, core: Core, mount: Mount) -> None:
        super().__init__(mount)
        self.router = Router([])


def kv(core: Core, mount: Mount) -> Backend:
    """Return the KV engine of the mount's version."""
    return Kv2(core, mount) if (mount.options or {}).get("version") == "2" else Kv1(core, mount)


FACTORIES: dict[str, Callable[[Core, Mount], Backend]] = {
    "system": System,
    "cubbyhole": Cubbyhole,
    "identity": Nowhere,
    "token": TokenAuth,
    "kv": kv,
    "generic": Kv1,
    "approle": AppRole,
    "transit": Transit,
    "userpass": UserPass,
    "cert": Cert,
    "kubernetes": Kubernetes,
}
