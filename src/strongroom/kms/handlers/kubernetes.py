"""auth/kubernetes/: login with a service account's token, which the cluster's TokenReview judges."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from strongroom.kms.domain import acl
from strongroom.kms.domain.cidrs import within
from strongroom.kms.domain.entries import View
from strongroom.kms.domain.errors import Failed, Forbidden, Nothing, Refused
from strongroom.kms.domain.ports import Review, ReviewRequest
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.handlers import logins
from strongroom.kms.handlers.call import Backend, Call, Renewal, Reply, Router, route
from strongroom.kms.handlers.logins import TokenRules

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

ROLE, CONFIG = "role/", "config"
CONFIG_FIELDS = {
    "kubernetes_host": "text",
    "kubernetes_ca_cert": "text",
    "token_reviewer_jwt": "text",
    "pem_keys": "list",
    "issuer": "text",
    "disable_iss_validation": "bool",
    "disable_local_ca_jwt": "bool",
}
FIELDS = (
    logins.FIELDS
    | logins.OLDER
    | {
        "num_uses": "int",
        "bound_service_account_names": "list",
        "bound_service_account_namespaces": "list",
        "audience": "text",
        "alias_name_source": "text",
    }
)
SOURCES = ("serviceaccount_uid", "serviceaccount_name")


class Config(msgspec.Struct):
    """How to reach the cluster."""

    kubernetes_host: str = ""
    kubernetes_ca_cert: str = ""
    token_reviewer_jwt: str = ""
    pem_keys: list[str] = msgspec.field(default_factory=list)
    issuer: str = ""
    disable_iss_validation: bool = True
    disable_local_ca_jwt: bool = False

    def __repr__(self) -> str:
        return f"Config({self.kubernetes_host!r})"


class Role(TokenRules):
    """Which service accounts may log in, and what they get."""

    name: str = ""
    bound_service_account_names: list[str] = msgspec.field(default_factory=list)
    bound_service_account_namespaces: list[str] = msgspec.field(default_factory=list)
    audience: str = ""
    alias_name_source: str = "serviceaccount_uid"

    OLD = logins.OLDER_NAMES | {"token_num_uses": "num_uses"}


class Kubernetes(Backend):
    """A Kubernetes auth method."""

    kind = "kubernetes"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        one = {acl.READ: self.read, acl.UPDATE: self.write, acl.DELETE: self.delete}
        self.router = Router(
            [
                route("login", {acl.UPDATE: self.login}, fields={"role": "text", "jwt": "text"}, open=True),
                route("config", {acl.READ: self.read_config, acl.UPDATE: self.write_config}, fields=CONFIG_FIELDS),
                route("role/?", {acl.LIST: self.list_roles}),
                route("role/(?P<name>[^/]+)", one, fields=FIELDS, exists=self.exists),
            ]
        )

    def role(self, view: View, name: str) -> Role | None:
        """Return a role by a name in any case."""
        return view.load(ROLE + name.lower(), Role)  # type: ignore[no-any-return]

    def exists(self, call: Call) -> bool:
        """Say whether a role is there."""
        return self.role(call.view, call.captures["name"]) is not None

    def list_roles(self, call: Call) -> Reply:
        """Return the names of the roles."""
        names = call.view.names(ROLE)
        if not names:
            raise Nothing("roles")
        return Reply(data={"keys": names})

    def read_config(self, call: Call) -> Reply:
        """Return the configuration without the reviewer's token."""
        config = call.view.load(CONFIG, Config)
        if config is None:
            raise Nothing("config")
        found: dict[str, Any] = msgspec.structs.asdict(config)
        return Reply(data=found | {"token_reviewer_jwt_set": bool(found.pop("token_reviewer_jwt"))})

    def write_config(self, call: Call) -> None:
        """Replace the configuration."""
        if not call.get("kubernetes_host"):
            raise Refused("no host provided")
        config = Config()
        for name in CONFIG_FIELDS:
            if call.has(name):
                setattr(config, name, call.get(name))
        call.view.store(CONFIG, config)

    def read(self, call: Call) -> Reply:
        """Return a role."""
        role = self.role(call.view, call.captures["name"])
        if role is None:
            raise Nothing("role")
        return Reply(data={k: v for k, v in role.shown().items() if k != "name"})

    def write(self, call: Call) -> None:
        """Make or change a role."""
        name = call.captures["name"].lower()
        role = self.role(call.view, name) or Role(name=name)
        role.take(call)
        for field in ("bound_service_account_names", "bound_service_account_namespaces"):
            if call.has(field):
                setattr(role, field, call.get(field))
            if not getattr(role, field):
                raise Refused(f'"{field}" can not be empty')
        if call.has("audience"):
            role.audience = call.get("audience")
        if call.get("alias_name_source"):
            role.alias_name_source = call.get("alias_name_source")
        if role.alias_name_source not in SOURCES:
            raise Refused(f'invalid alias_name_source "{role.alias_name_source}"')
        call.view.store(ROLE + name, role)

    def delete(self, call: Call) -> None:
        """Forget a role."""
        call.view.delete(ROLE + call.captures["name"].lower())

    async def login(self, call: Call) -> Reply:
        """Exchange a service account's token for ours."""
        name, jwt = call.get("role"), call.get("jwt")
        if not name:
            raise Refused("missing role")
        if not jwt:
            raise Refused("missing jwt")
        role, config = self.role(call.view, name), call.view.load(CONFIG, Config)
        if role is None:
            raise Refused(f'invalid role name "{name}"')
        if config is None or self.core.review_token is None:
            raise Failed("could not load backend configuration")
        if not within(call.peer.address, role.token_bound_cidrs):
            raise Forbidden("permission denied")
        asked = ReviewRequest(
            config.kubernetes_host, config.kubernetes_ca_cert, config.token_reviewer_jwt or jwt, jwt, role.audience
        )
        review = await self.core.review_token(asked)
        role = self.role(call.view, name)  # as it is now
        if role is None:
            raise Refused(f'invalid role name "{name}"')
        self._check(role, review)
        by_name = role.alias_name_source == "serviceaccount_name"
        alias = f"{review.namespace}/{review.name}" if by_name else review.uid
        return logins.log_in(
            call,
            role,
            alias=alias,
            display_name=f"kubernetes-{review.namespace}-{review.name}",
            metadata={
                "role": role.name,
                "service_account_name": review.name,
                "service_account_namespace": review.namespace,
                "service_account_uid": review.uid,
            },
            internal={"role": role.name},
        )

    def _check(self, role: Role, review: Review) -> None:
        """Raise Forbidden unless the account is one of the role's."""
        if not any(fnmatchcase(review.namespace, p) for p in role.bound_service_account_namespaces):
            raise Forbidden("namespace not authorized")
        if not any(fnmatchcase(review.name, p) for p in role.bound_service_account_names):
            raise Forbidden("service account name not authorized")

    def renewed(self, call: Call, token: Token) -> Renewal:
        """Return the role's present rules; raise Failed when it is gone."""
        role = self.role(View(call.work, self.mount.prefix), str(token.internal.get("role", "")))
        if role is None:
            raise Failed("role no longer exists during renewal")
        return role.renewal()
