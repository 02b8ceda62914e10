"""The roles of auth/token/, and what lookup tells of a token (vault.md 3.4, 3.6)."""

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from strongroom.kms.domain import acl
from strongroom.kms.domain.cidrs import token_blocks
from strongroom.kms.domain.entries import View, Work
from strongroom.kms.domain.errors import Nothing, Refused
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.domain.values import rfc3339, rfc3339_seconds
from strongroom.kms.handlers.call import Backend, Call, Reply, Route, route

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

ROLES = "role/"
NAMES = (
    "allowed_policies",
    "disallowed_policies",
    "allowed_policies_glob",
    "disallowed_policies_glob",
    "allowed_entity_aliases",
)
OLD = {"period": "token_period", "explicit_max_ttl": "token_explicit_max_ttl", "bound_cidrs": "token_bound_cidrs"}
_SUFFIX = re.compile(r"\w[\w.-]+\w", re.ASCII)
ROLE_FIELDS = {
    "allowed_policies": "list",
    "disallowed_policies": "list",
    "allowed_policies_glob": "list",
    "disallowed_policies_glob": "list",
    "orphan": "bool",
    "renewable": "bool",
    "path_suffix": "text",
    "allowed_entity_aliases": "list",
    "token_period": "seconds",
    "period": "seconds",
    "token_explicit_max_ttl": "seconds",
    "explicit_max_ttl": "seconds",
    "token_bound_cidrs": "list",
    "bound_cidrs": "list",
    "token_num_uses": "int",
    "token_no_default_policy": "bool",
    "token_type": "text",
    "token_strictly_bind_ip": "bool",
}


def lowered(names: list[str]) -> list[str]:
    """Return the names of policies, or patterns of them, as tokens carry them: a list in capitals bars nobody else."""
    return sorted({name.strip().lower() for name in names} - {""})


class Role(msgspec.Struct):
    """A token role; TTLs in seconds."""

    name: str
    allowed_policies: list[str] = msgspec.field(default_factory=list)
    disallowed_policies: list[str] = msgspec.field(default_factory=list)
    allowed_policies_glob: list[str] = msgspec.field(default_factory=list)
    disallowed_policies_glob: list[str] = msgspec.field(default_factory=list)
    orphan: bool = False
    renewable: bool = True
    path_suffix: str = ""
    allowed_entity_aliases: list[str] | None = None
    token_period: int = 0
    token_explicit_max_ttl: int = 0
    token_bound_cidrs: list[str] = msgspec.field(default_factory=list)
    token_num_uses: int = 0
    token_no_default_policy: bool = False
    token_type: str = "default-service"  # noqa: S105 - a kind
    old: list[str] = msgspec.field(default_factory=list)  # fields given by their old names

    def bars(self, policy: str) -> bool:
        """Say whether a policy may not be given."""
        globs = lowered(self.disallowed_policies_glob)
        return policy in lowered(self.disallowed_policies) or any(fnmatchcase(policy, glob) for glob in globs)

    def check(self) -> None:
        """Raise Refused for rules that no token can follow."""
        if self.path_suffix and not _SUFFIX.fullmatch(self.path_suffix):
            raise Refused(r"given role path suffix contains invalid characters; must match \w[\w-.]+\w")
        if self.token_num_uses < 0:
            raise Refused("error parsing role fields: 'token_num_uses' cannot be negative")
        if self.token_type not in ("service", "batch", "default-service", "default-batch"):
            raise Refused(f"invalid 'token_type' value \"{self.token_type}\"")
        unfit = (
            (not self.orphan, "non-orphan tokens"),
            (self.token_period, "periodic tokens"),
            (self.renewable, "renewable tokens"),
            (self.token_explicit_max_ttl, "tokens with an explicit max TTL"),
        )
        for wrong, what in unfit:
            if wrong and self.token_type == "batch":  # noqa: S105 - a kind
                raise Refused(f"'token_type' cannot be 'batch' when role is set to generate {what}")


class TokenRoles(Backend):
    """The part of the token store that keeps roles."""

    kind = "token"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core

    def role_routes(self) -> list[Route]:
        """Return the routes."""
        up = acl.UPDATE
        return [
            route("roles/?", {acl.LIST: self.list_roles}),
            route(
                "roles/(?P<role_name>[^/]+)",
                {acl.READ: self.read_role, up: self.write_role, acl.DELETE: self.delete_role},
                fields=ROLE_FIELDS,
                exists=self.role_exists,
            ),
        ]

    def role_exists(self, call: Call) -> bool:
        """Say whether a role is there."""
        return call.view.get(ROLES + call.captures["role_name"]) is not None

    def list_roles(self, call: Call) -> Reply:
        """Return the names of the roles."""
        names = call.view.names(ROLES)
        if not names:
            raise Nothing("roles")
        return Reply(data={"keys": names})

    def read_role(self, call: Call) -> Reply:
        """Return a role."""
        role = self.role(call.work, call.captures["role_name"])
        if role is None:
            raise Nothing("role")
        found: dict[str, Any] = msgspec.structs.asdict(role)
        used = found.pop("old")
        found |= {"period": 0, "explicit_max_ttl": 0} | {name: found[OLD[name]] for name in used}
        for name in ("token_bound_cidrs", "token_num_uses"):
            if not found[name]:
                del found[name]
        return Reply(data=found)

    def role(self, work: Work, name: str) -> Role | None:
        """Return a role."""
        return View(work, self.mount.prefix).load(ROLES + name, Role)  # type: ignore[no-any-return]

    def write_role(self, call: Call) -> Reply | None:
        """Make or change a role; only the given fields change."""
        name = call.captures["role_name"]
        role = self.role(call.work, name) or Role(name)
        for field in Role.__struct_fields__:
            if field in ROLE_FIELDS and call.has(field):
                value = call.get(field)
                if field in NAMES:
                    value = lowered(value)
                setattr(role, field, int(value) if ROLE_FIELDS[field] == "seconds" else value)
        for old, new in OLD.items():
            if call.has(new):
                role.old = [name for name in role.old if name != old]
            elif call.has(old):
                value = call.get(old)
                setattr(role, new, int(value) if ROLE_FIELDS[old] == "seconds" else value)
                role.old = sorted({*role.old, old})
        role.token_bound_cidrs = token_blocks(role.token_bound_cidrs)
        role.check()
        call.view.store(ROLES + name, role)
        limit = self.core.max_ttl(self.mount)
        return Reply(warnings=[_too_long(role, limit)]) if role.token_explicit_max_ttl > limit else None

    def delete_role(self, call: Call) -> None:
        """Forget a role."""
        call.view.delete(ROLES + call.captures["role_name"])


def _too_long(role: Role, limit: int) -> str:
    return (
        f"Given explicit max TTL of {role.token_explicit_max_ttl} is greater than system/mount allowed value of "
        f"{limit} seconds; tokens of this role live no longer than that"
    )


def described(token: Token, text: str, now: int) -> dict[str, Any]:
    """Return what lookup tells of a token at `now`, seconds (vault.md 3.4)."""
    found: dict[str, Any] = {
        "id": text,
        "accessor": token.accessor,
        "policies": token.policies,
        "path": token.path,
        "meta": token.meta,
        "display_name": token.display_name,
        "num_uses": max(token.num_uses, 0),
        "orphan": token.orphan,
        "creation_time": token.created,
        "creation_ttl": token.ttl,
        "expire_time": rfc3339(token.issued + (token.expires - token.created) * 10**9) if token.expires else None,
        "ttl": max(token.expires - now, 0) if token.expires else 0,
        "explicit_max_ttl": token.explicit_max_ttl,
        "entity_id": token.entity_id,
        "type": token.kind,
    }
    if token.path != "auth/token/root":
        found |= {"issue_time": rfc3339(token.issued), "renewable": token.renewable}
    if token.period:
        found["period"] = token.period
    if token.role:
        found["role"] = token.role
    if token.bound_cidrs:
        found["bound_cidrs"] = token.bound_cidrs
    if token.renewed:
        found |= {"last_renewal": rfc3339_seconds(token.renewed), "last_renewal_time": token.renewed}
    return found
