"""auth/approle/: roles, secret ids, login (vault.md 4). Secret ids are stored as HMACs under a key of the role."""

import hmac
import json
import secrets
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from strongroom.kms.domain import acl
from strongroom.kms.domain.cidrs import first_bad, within
from strongroom.kms.domain.entries import View, Work
from strongroom.kms.domain.errors import Failed, FailedPlain, Forbidden, NoRoute, Nothing, Refused, UnsupportedPath
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.domain.values import rfc3339
from strongroom.kms.handlers import logins
from strongroom.kms.handlers.call import Backend, Call, Renewal, Reply, Router, route
from strongroom.kms.handlers.logins import TokenRules

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

ROLE, ROLE_ID, SECRET, ACCESSOR = "role/", "role_id/", "secret/", "accessor/"
INVALID = "invalid role or secret ID"
TIDY = "Tidy operation successfully started. Any information from the operation will be printed to the server's logs."
DEPRECATED = (
    'The "bound_cidr_list" field is deprecated and will be removed. Please use "secret_id_bound_cidrs" instead.'
)
FIELDS = logins.FIELDS | {
    "bind_secret_id": "bool",
    "secret_id_bound_cidrs": "list",
    "bound_cidr_list": "list",
    "secret_id_num_uses": "int",
    "secret_id_ttl": "seconds",
    "local_secret_ids": "bool",
    "role_id": "text",
}
SECRET_FIELDS = {
    "metadata": "text",
    "cidr_list": "list",
    "token_bound_cidrs": "list",
    "num_uses": "int",
    "ttl": "seconds",
    "secret_id": "text",
}


class Role(TokenRules):
    """A role; secret_id_ttl in seconds, 0 for never; key: the HMAC key of its secret ids."""

    name: str = ""
    role_id: str = ""
    key: bytes = b""
    bind_secret_id: bool = True
    secret_id_bound_cidrs: list[str] = msgspec.field(default_factory=list)
    secret_id_num_uses: int = 0
    secret_id_ttl: int = 0
    local_secret_ids: bool = False

    def __repr__(self) -> str:
        return f"Role({self.name!r})"


HIDDEN = {"name", "role_id", "key", "old"}


class SecretId(msgspec.Struct):
    """What is kept of a secret id; created and updated in ns, expires in seconds, 0 for never."""

    accessor: str
    num_uses: int
    ttl: int
    created: int
    updated: int
    expires: int
    metadata: dict[str, str]
    cidr_list: list[str]
    token_bound_cidrs: list[str]


class AppRole(Backend):
    """An AppRole auth method."""

    kind = "approle"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        role, up = "role/(?P<role_name>[^/]+)", acl.UPDATE
        accessor = {"secret_id_accessor": "text"}
        self.router = Router(
            [
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
                route(role + "/secret-id/?", {up: self.make_secret, acl.LIST: self.list_secrets}, fields=SECRET_FIELDS),
                route(role + "/custom-secret-id", {up: self.custom_secret}, fields=SECRET_FIELDS),
                route(role + "/secret-id/lookup/?", {up: self.look_up}, fields=SECRET_FIELDS),
                route(
                    role + "/secret-id/destroy/?", {up: self.destroy, acl.DELETE: self.destroy}, fields=SECRET_FIELDS
                ),
                route(role + "/secret-id-accessor/lookup/?", {up: self.look_up_accessor}, fields=accessor),
                route(
                    role + "/secret-id-accessor/destroy/?",
                    {up: self.destroy_accessor, acl.DELETE: self.destroy_accessor},
                    fields=accessor,
                ),
                route(
                    role + f"/(?P<field>{'|'.join(SINGLE)})",
                    {acl.READ: self.read_field, up: self.write_field, acl.DELETE: self.delete_field},
                    fields=FIELDS,
                    exists=self.role_exists,
                ),
                route("tidy/secret-id/?", {up: self.tidy}),
            ]
        )

    def role(self, view: View, name: str) -> Role | None:
        """Return a role by its name in any case."""
        return view.load(ROLE + name.lower(), Role)  # type: ignore[no-any-return]

    def _known(self, call: Call, error: type[Exception], text: str = "") -> Role:
        name = call.captures["role_name"]
        role = self.role(call.view, name)
        if role is None:
            raise error(text or f'role "{name}" does not exist')
        return role

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
        role = self._known(call, Nothing)
        found = role.shown()
        for name in HIDDEN:
            found.pop(name, None)
        found["secret_id_bound_cidrs"] = role.secret_id_bound_cidrs or None
        return Reply(data=found)

    def write_role(self, call: Call) -> None:
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
        self._take_secret_fields(call, role)
        if call.get("role_id"):
            role.role_id = call.get("role_id")
        self._save(call.view, role, old_id)

    def _take_secret_fields(self, call: Call, role: Role) -> None:
        if call.has("bind_secret_id"):
            role.bind_secret_id = call.get("bind_secret_id")
        for name in ("bound_cidr_list", "secret_id_bound_cidrs"):
            if call.has(name):
                role.secret_id_bound_cidrs = _blocks(call.get(name))
        if call.has("secret_id_num_uses"):
            role.secret_id_num_uses = call.get("secret_id_num_uses")
            if role.secret_id_num_uses < 0:
                raise Refused("secret_id_num_uses cannot be negative")
        if call.has("secret_id_ttl"):
            role.secret_id_ttl = int(call.get("secret_id_ttl"))
        if not (role.bind_secret_id or role.secret_id_bound_cidrs or role.token_bound_cidrs):
            raise Failed("at least one constraint should be enabled on the role")

    def _save(self, view: View, role: Role, old_id: str) -> None:
        index = ROLE_ID + _digest(role.role_id)
        owner = view.get(index)
        if owner is not None and owner.decode() != role.name:
            raise Failed("role_id already in use")
        if old_id and old_id != role.role_id:
            view.delete(ROLE_ID + _digest(old_id))
        view.put(index, role.name.encode())
        view.store(ROLE + role.name, role)

    def delete_role(self, call: Call) -> None:
        """Forget a role with its secret ids."""
        view, role = call.view, self.role(call.view, call.captures["role_name"])
        if role is None:
            return
        for key in view.walk(f"{SECRET}{role.name}/"):
            self._drop(view, role, key.rpartition("/")[2])
        view.delete(ROLE_ID + _digest(role.role_id))
        view.delete(ROLE + role.name)

    def read_role_id(self, call: Call) -> Reply:
        """Return a role's id."""
        return Reply(data={"role_id": self._known(call, Nothing).role_id})

    def write_role_id(self, call: Call) -> None:
        """Give a role another id."""
        role = self._known(call, Nothing)
        if not call.get("role_id"):
            raise Refused("missing role_id")
        old, role.role_id = role.role_id, call.get("role_id")
        self._save(call.view, role, old)

    def read_field(self, call: Call) -> Reply:
        """Return one field of a role."""
        role, field = self._known(call, Nothing), call.captures["field"]
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
        role = self._known(call, UnsupportedPath, "unsupported path")
        if call.captures["field"] == "local-secret-ids":
            raise Refused("local_secret_ids can only be modified during role creation")
        old = role.role_id
        role.take(call)
        self._take_secret_fields(call, role)
        self._save(call.view, role, old)

    def delete_field(self, call: Call) -> None:
        """Put one field of a role back to its default."""
        role, field = self._known(call, UnsupportedPath, "unsupported path"), call.captures["field"]
        if field == "bound-cidr-list":
            return
        name = SINGLE[field]
        default = getattr(Role(), name)
        setattr(role, name, default)
        if name.removeprefix("token_") in role.old:
            role.old.remove(name.removeprefix("token_"))
        call.view.store(ROLE + role.name, role)

    def make_secret(self, call: Call) -> Reply:
        """Make a secret id for a role."""
        role = self._known(call, NoRoute)
        return self._make_secret(call, role, str(uuid.uuid4()))

    def custom_secret(self, call: Call) -> Reply:
        """Store a secret id that the caller chose."""
        role = self._known(call, NoRoute)
        if not call.get("secret_id"):
            raise Refused("missing secret_id")
        return self._make_secret(call, role, call.get("secret_id"))

    def _make_secret(self, call: Call, role: Role, text: str) -> Reply:
        if not role.bind_secret_id:
            raise Refused("bind_secret_id is not set on the role")
        uses = call.get("num_uses") if call.has("num_uses") else role.secret_id_num_uses
        if uses < 0:
            raise Refused("num_uses cannot be negative")
        if role.secret_id_num_uses and (uses == 0 or uses > role.secret_id_num_uses):
            raise Refused("num_uses cannot be higher than the role's secret_id_num_uses")
        ttl = int(call.get("ttl")) if call.has("ttl") else role.secret_id_ttl
        if role.secret_id_ttl and (ttl == 0 or ttl > role.secret_id_ttl):
            raise Refused("ttl cannot be longer than the role's secret_id_ttl")
        ttl = min(ttl, self.core.max_ttl(self.mount))
        metadata = _metadata(call.get("metadata"))
        blocks, token_blocks = _blocks(call.get("cidr_list")), _blocks(call.get("token_bound_cidrs"))
        key = self._secret_key(role, text)
        if call.view.get(key) is not None:
            raise Failed("failed to store secret_id: SecretID is already registered")
        expires = call.seconds + ttl if ttl else 0
        accessor = str(uuid.uuid4())
        record = SecretId(accessor, uses, ttl, call.now, call.now, expires, metadata, blocks, token_blocks)
        call.view.store(key, record)
        call.view.put(ACCESSOR + _digest(accessor), f"{role.name}/{key.rpartition('/')[2]}".encode())
        shown = {"secret_id": text, "secret_id_accessor": accessor, "secret_id_ttl": ttl, "secret_id_num_uses": uses}
        return Reply(data=shown)

    def _secret_key(self, role: Role, text: str) -> str:
        return f"{SECRET}{role.name}/{hmac.digest(role.key, text.encode(), 'sha256').hex()}"

    def _secret(self, view: View, key: str, now: int) -> SecretId | None:
        """Return a secret id's record unless it is unknown or over."""
        record: SecretId | None = view.load(key, SecretId)
        return None if record is None or (record.expires and now >= record.expires) else record

    def _drop(self, view: View, role: Role, digest: str) -> None:
        key = f"{SECRET}{role.name}/{digest}"
        record = view.load(key, SecretId)
        if record is not None:
            view.delete(ACCESSOR + _digest(record.accessor))
            view.delete(key, erase=True)

    def list_secrets(self, call: Call) -> Reply:
        """Return the accessors of a role's secret ids."""
        role = self._known(call, Refused)
        keys = call.view.walk(f"{SECRET}{role.name}/")
        records = [self._secret(call.view, key, call.seconds) for key in keys]
        found = sorted(record.accessor for record in records if record is not None)
        if not found:
            raise Nothing("secret ids")
        return Reply(data={"keys": found})

    def look_up(self, call: Call) -> Reply | None:
        """Describe a secret id; nothing for an unknown one."""
        if not call.get("secret_id"):
            raise Refused("missing secret_id")
        role = self._known(call, Failed)
        record = self._secret(call.view, self._secret_key(role, call.get("secret_id")), call.seconds)
        return None if record is None else Reply(data=_described(record))

    def destroy(self, call: Call) -> None:
        """Forget a secret id."""
        if not call.get("secret_id"):
            raise Refused("missing secret_id")
        role = self._known(call, Failed)
        self._drop(call.view, role, self._secret_key(role, call.get("secret_id")).rpartition("/")[2])

    def _by_accessor(self, call: Call) -> tuple[Role, str, str]:
        """Return the role, the accessor and the owner's `role/digest`, "" for none."""
        accessor = call.get("secret_id_accessor")
        if not accessor:
            raise Refused("missing secret_id_accessor")
        role = self._known(call, Failed)
        return role, accessor, (call.view.get(ACCESSOR + _digest(accessor)) or b"").decode()

    def look_up_accessor(self, call: Call) -> Reply | None:
        """Describe the secret id with an accessor."""
        role, accessor, owner = self._by_accessor(call)
        record = self._secret(call.view, SECRET + owner, call.seconds) if owner else None
        if record is None:
            text = f'failed to find accessor entry for secret_id_accessor: "{accessor}"'
            return Reply(status=404, data={"error": text})
        return Reply(data=_described(record)) if owner.startswith(role.name + "/") else None

    def destroy_accessor(self, call: Call) -> None:
        """Forget the secret id with an accessor."""
        role, accessor, owner = self._by_accessor(call)
        if not owner.startswith(role.name + "/"):
            raise Failed(f'failed to find accessor entry for secret_id_accessor: "{accessor}"')
        self._drop(call.view, role, owner.rpartition("/")[2])

    def login(self, call: Call) -> Reply:
        """Exchange a role id and a secret id for a token; a use of the secret id is counted in the same batch."""
        role_id = call.get("role_id")
        if not role_id:
            raise FailedPlain("missing role_id")
        lockouts, accessor = self.core.lockouts, self.mount.accessor
        if lockouts.locked(accessor, role_id, call.seconds):
            raise Forbidden("permission denied")
        view = call.view
        owner = view.get(ROLE_ID + _digest(role_id))
        role = None if owner is None else self.role(view, owner.decode())
        if role is None:
            raise Refused(INVALID)
        metadata = {"role_name": role.name}
        blocks: list[str] = []
        if role.bind_secret_id:
            record = self._spend(call, role)
            if record is None:
                lockouts.failed(accessor, role_id, call.seconds)
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

    def _spend(self, call: Call, role: Role) -> SecretId | None:
        """Count a use of the given secret id; None when it is not valid for the role."""
        text = call.get("secret_id")
        if not text:
            raise Refused("missing secret_id")
        key = self._secret_key(role, text)
        record = self._secret(call.view, key, call.seconds)
        if record is None:
            return None
        if not within(call.peer.address, record.cidr_list):
            raise Refused(
                f'source address "{call.peer.address}" unauthorized through CIDR restrictions on the secret ID'
            )
        if record.num_uses == 1:
            self._drop(call.view, role, key.rpartition("/")[2])
        elif record.num_uses > 1:
            record.num_uses, record.updated = record.num_uses - 1, call.now
            call.view.store(key, record)
        return record

    def renewed(self, call: Call, token: Token) -> Renewal:
        """Return the role's present rules; raise Failed when it is gone."""
        name = str(token.internal.get("role", ""))
        role = self.role(View(call.work, self.mount.prefix), name)
        if role is None:
            raise Failed(f'failed to renew entry: role "{name}" does not exist during renewal')
        return role.renewal()

    def tidy(self, call: Call) -> Reply:
        """Remove the secret ids whose time is over."""
        self._sweep(call.view, call.seconds)
        return Reply(status=202, warnings=[TIDY])

    def _sweep(self, view: View, now: int) -> None:
        for key in view.walk(SECRET):
            record = view.load(key, SecretId)
            if record is not None and record.expires and now >= record.expires:
                view.delete(ACCESSOR + _digest(record.accessor))
                view.delete(key, erase=True)

    def tick(self, work: Work, now: int) -> None:
        """Remove secret ids whose time is over, once a minute."""
        if now // 1_000_000_000 % 60 == 0:
            self._sweep(View(work, self.mount.prefix), now // 1_000_000_000)


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


def _digest(text: str) -> str:
    """Return a storage name for a public id."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def _blocks(blocks: list[str]) -> list[str]:
    bad = first_bad(blocks)
    if bad is not None:
        raise Failed(f"failed to validate CIDR blocks: invalid CIDR address: {bad}")
    return blocks


def _metadata(text: str) -> dict[str, str]:
    """Return a secret id's metadata: JSON text, or `k=v` pairs."""
    if not text:
        return {}
    try:
        found = json.loads(text)
        if isinstance(found, dict):
            return {str(key): str(value) for key, value in found.items()}
    except ValueError:
        pairs = [part.partition("=") for part in text.split(",")]
        if all(equals for _, equals, _ in pairs):
            return {key.strip(): value.strip() for key, _, value in pairs}
    raise Refused("failed to parse metadata: failed to parse the input: invalid <key,value> format")


def _described(record: SecretId) -> dict[str, Any]:
    return {
        "secret_id_accessor": record.accessor,
        "secret_id_num_uses": record.num_uses,
        "secret_id_ttl": record.ttl,
        "creation_time": rfc3339(record.created),
        "expiration_time": rfc3339(record.expires * 1_000_000_000),
        "last_updated_time": rfc3339(record.updated),
        "metadata": record.metadata,
        "cidr_list": record.cidr_list,
        "token_bound_cidrs": record.token_bound_cidrs,
    }
