"""auth/approle/: roles and login (vault.md 4)."""

import secrets
import uuid
from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl
from strongroom.kms.domain.cidrs import within
from strongroom.kms.domain.entries import View
from strongroom.kms.domain.errors import Failed, FailedPlain, Forbidden, Nothing, Refused, UnsupportedPath
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.handlers import logins
from strongroom.kms.handlers.approle_secrets import (
    DEPRECATED,
    FIELDS,
    HIDDEN,
    INVALID,
    ROLE,
    ROLE_ID,
    SECRET,
    AppRoleSecrets,
    Role,
    checked_blocks,
    digest,
)
from strongroom.kms.handlers.call import Call, Handler, Renewal, Reply, Route, Router, route

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

LOGIN = {"role_id": "text", "secret_id": "text"}
SINGLE = {
    "policies": "token_policies",
    "period": "token_period",
    "token-ttl": "token_ttl",
    "token-max-ttl": "token_max_ttl",
    "token-num-uses": "token_num_uses",
    "token-bound-cidrs": "token_bound_cidrs",
    "secret-id-num-uses": "secret_id_num_uses",
    "secret-id-ttl": "secret_id_ttl",
    "secret-id-bound-cidrs": "secret_id_bound_cidrs",
    "bound-cidr-list": "secret_id_bound_cidrs",
    "local-secret-ids": "local_secret_ids",
}
OLD = {"token_policies": "policies", "token_period": "period"}  # older names that a field's own route takes too
NEEDED = {name: name.replace("-", "_") for name in SINGLE if not name.endswith(("cidrs", "list", "ids"))}
NEEDED["policies"] = "token_policies"
TOO_LONG = (
    "token_max_ttl is greater than the backend mount's maximum TTL value; "
    "issued tokens' max TTL value will be truncated"
)


def _names(field: str) -> set[str]:
    """Return the parameters that a field's own route takes."""
    name = "bound_cidr_list" if field == "bound-cidr-list" else SINGLE[field]
    return {name, OLD.get(name, name)}


class AppRole(AppRoleSecrets):
    """An AppRole auth method."""

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(core, mount)
        role, up = "role/(?P<role_name>[^/]+)", acl.UPDATE
        self.router = Router(
            [
                *self.secret_routes(),
                route("login", {up: self.login, acl.READ: self.login}, fields=LOGIN, open=True),
                route("role/?", {acl.LIST: self.list_roles}),
                route(
                    role,
                    {acl.READ: self.read_role, up: self.write_role, acl.DELETE: self.delete_role},
                    fields=FIELDS,
                    exists=self.role_exists,
                ),
                route(
                    role + "/role-id",
                    {acl.READ: self.read_role_id, up: self.write_role_id},
                    fields={"role_id": "text"},
                ),
                *(self._field_route(f"{role}/(?P<field>{field})", field) for field in SINGLE),
            ]
        )

    def _field_route(self, path: str, field: str) -> Route:
        names = _names(field)
        operations: dict[int, Handler] = {acl.READ: self.read_field}
        if field != "local-secret-ids":
            operations |= {acl.UPDATE: self.write_field, acl.DELETE: self.delete_field}
        fields = {name: FIELDS[name] for name in names}
        return route(path, operations, fields=fields, exists=self.role_exists)

    def role_exists(self, call: Call) -> bool:
        """Say whether a role is there."""
        return self.role(call.view, call.captures["role_name"]) is not None

    def list_roles(self, call: Call) -> Reply:
        """Return the names of the roles."""
        names = call.view.names(ROLE)
        if not names:
            raise Nothing("roles")
        return Reply(data={"keys": names})

    def read_role(self, call: Call) -> Reply:
        """Return a role's fields."""
        role = self.known(call, Nothing)
        found = role.shown()
        for name in HIDDEN:
            found.pop(name, None)
        found["secret_id_bound_cidrs"] = role.secret_id_bound_cidrs or None
        return Reply(data=found)

    def write_role(self, call: Call) -> Reply | None:
        """Make or change a role; only the given fields change."""
        name = call.captures["role_name"].lower()
        role = self.role(call.view, name)
        fresh = role is None
        if role is None:
            role = Role(name=name, role_id=str(uuid.uuid4()), key=secrets.token_bytes(32))
        if call.has("local_secret_ids"):
            if not fresh and call.get("local_secret_ids") != role.local_secret_ids:
                raise Refused("local_secret_ids can only be modified during role creation")
            role.local_secret_ids = call.get("local_secret_ids")
        old_id = "" if fresh else role.role_id
        role.take(call)
        given, warnings = call.get("token_type"), []
        if given != role.adjusted(given):
            warnings.append(f"{given} has no useful meaning; adjusting to {role.token_type}")
        self._take_secret_fields(call, role)
        if call.has("role_id"):
            role.role_id = call.get("role_id")
            if not role.role_id:
                raise Refused("invalid role_id supplied, or failed to generate a role_id")
        self._save(call.view, role, old_id)
        if role.token_max_ttl > self.core.max_ttl(self.mount):
            warnings.append(TOO_LONG)
        return Reply(warnings=warnings) if warnings else None

    def _take_secret_fields(self, call: Call, role: Role) -> None:
        if call.has("bind_secret_id"):
            role.bind_secret_id = call.get("bind_secret_id")
        for name in ("bound_cidr_list", "secret_id_bound_cidrs"):
            if call.has(name):
                role.secret_id_bound_cidrs = checked_blocks(call.get(name))
        if call.has("secret_id_num_uses"):
            role.secret_id_num_uses = call.get("secret_id_num_uses")
            if role.secret_id_num_uses < 0:
                raise Refused("secret_id_num_uses cannot be negative")
        if call.has("secret_id_ttl"):
            role.secret_id_ttl = int(call.get("secret_id_ttl"))
        if not (role.bind_secret_id or role.secret_id_bound_cidrs or role.token_bound_cidrs):
            raise Failed("at least one constraint should be enabled on the role")

    def _save(self, view: View, role: Role, old_id: str) -> None:
        index = ROLE_ID + digest(role.role_id)
        owner = view.get(index)
        if owner is not None and owner.decode() != role.name:
            raise Failed("role_id already in use")
        if old_id and old_id != role.role_id:
            view.delete(ROLE_ID + digest(old_id))
        view.put(index, role.name.encode())
        view.store(ROLE + role.name, role)

    def delete_role(self, call: Call) -> None:
        """Forget a role with its secret ids."""
        view, role = call.view, self.role(call.view, call.captures["role_name"])
        if role is None:
            return
        for key in view.walk(f"{SECRET}{role.name}/"):
            self.drop(view, role, key.rpartition("/")[2])
        view.delete(ROLE_ID + digest(role.role_id))
        view.delete(ROLE + role.name)

    def read_role_id(self, call: Call) -> Reply:
        """Return a role's id."""
        return Reply(data={"role_id": self.known(call, Nothing).role_id})

    def write_role_id(self, call: Call) -> None:
        """Give a role another id."""
        role = self.known(call, Nothing)
        if not call.get("role_id"):
            raise Refused("missing role_id")
        old, role.role_id = role.role_id, call.get("role_id")
        self._save(call.view, role, old)

    def read_field(self, call: Call) -> Reply:
        """Return one field of a role."""
        role, field = self.known(call, Nothing), call.captures["field"]
        if field == "bound-cidr-list":
            return Reply(data={"bound_cidr_list": None}, warnings=[DEPRECATED])
        name = SINGLE[field]
        value: Any = getattr(role, name)
        found = {name: value or None if name.endswith("cidrs") else value}
        old = name.removeprefix("token_")
        if old in role.old:
            found[old] = value
        return Reply(data=found)

    def write_field(self, call: Call) -> None:
        """Change one field of a role."""
        role, field = self.known(call, UnsupportedPath, "unsupported path"), call.captures["field"]
        names = _names(field)
        if field in NEEDED and not any(call.has(name) for name in names):
            raise Refused(f"missing {NEEDED[field]}")
        own = call.narrowed(names)
        role.take(own)
        self._take_secret_fields(own, role)
        self._save(call.view, role, role.role_id)

    def delete_field(self, call: Call) -> None:
        """Put one field of a role back to its default."""
        role, field = self.role(call.view, call.captures["role_name"]), call.captures["field"]
        if role is None or field == "bound-cidr-list":
            return
        name = SINGLE[field]
        default = getattr(Role(), name)
        setattr(role, name, default)
        if name.removeprefix("token_") in role.old:
            role.old.remove(name.removeprefix("token_"))
        call.view.store(ROLE + role.name, role)

    def login(self, call: Call) -> Reply:
        """Exchange a role id and a secret id for a token; a use of the secret id is counted in the same batch."""
        role_id = call.get("role_id")
        if not role_id:
            raise FailedPlain("missing role_id")
        lockouts, accessor, rule = self.core.lockouts, self.mount.accessor, self.core.lockout_rule(self.mount)
        if lockouts.locked(accessor, role_id, call.seconds, rule):
            raise Forbidden("permission denied")
        view = call.view
        owner = view.get(ROLE_ID + digest(role_id))
        role = None if owner is None else self.role(view, owner.decode())
        if role is None:
            raise Refused(INVALID)
        metadata = {"role_name": role.name}
        blocks: list[str] = []
        if role.bind_secret_id:
            record = self.spend(call, role)
            if record is None:
                lockouts.failed(accessor, role_id, call.seconds, rule)
                raise Refused(INVALID)
            metadata, blocks = record.metadata | metadata, record.token_bound_cidrs
        if not within(call.peer.address, role.secret_id_bound_cidrs):
            raise Refused(f'source address "{call.peer.address}" unauthorized by CIDR restrictions on the role')
        if not within(call.peer.address, role.token_bound_cidrs):
            raise Forbidden("permission denied")
        lockouts.succeeded(accessor, role_id)
        internal = {"role": role.name}
        return logins.log_in(
            call,
            role,
            alias=role_id,
            display_name="approle",
            metadata=metadata,
            internal=internal,
            blocks=blocks,
        )

    def renewed(self, call: Call, token: Token) -> Renewal:
        """Return the role's present rules; raise Failed when it is gone."""
        name = str(token.internal.get("role", ""))
        role = self.role(View(call.work, self.mount.prefix), name)
        if role is None:
            raise Failed(f'failed to renew entry: role "{name}" does not exist during renewal')
        return role.renewal()
