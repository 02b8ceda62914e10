"""The secret ids of AppRole roles, and the records of both (vault.md 4.2). Kept as HMACs under a key of the role."""

import hmac
import json
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from strongroom.kms.domain import acl
from strongroom.kms.domain.cidrs import contained, first_bad, within
from strongroom.kms.domain.entries import View, Work
from strongroom.kms.domain.errors import Failed, NoRoute, Nothing, Refused
from strongroom.kms.domain.records import Mount
from strongroom.kms.domain.values import rfc3339
from strongroom.kms.handlers import logins
from strongroom.kms.handlers.call import Backend, Call, Reply, Route, route
from strongroom.kms.handlers.logins import TokenRules
from strongroom.kms.handlers.rounds import Round, in_turns

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

    def adjusted(self, kind: str) -> str:
        """Return a given token type: a role has no defaults of a mount."""
        return kind.removeprefix("default-")


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


class AppRoleSecrets(Backend):
    """The part of an AppRole auth method that keeps secret ids."""

    kind = "approle"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        self._round = Round()

    def secret_routes(self) -> list[Route]:
        """Return the routes."""
        role, up = "role/(?P<role_name>[^/]+)", acl.UPDATE
        accessor = {"secret_id_accessor": "text"}
        return [
            route(role + "/secret-id/?", {up: self.make_secret, acl.LIST: self.list_secrets}, fields=SECRET_FIELDS),
            route(role + "/custom-secret-id", {up: self.custom_secret}, fields=SECRET_FIELDS),
            route(role + "/secret-id/lookup/?", {up: self.look_up}, fields=SECRET_FIELDS),
            route(role + "/secret-id/destroy/?", {up: self.destroy, acl.DELETE: self.destroy}, fields=SECRET_FIELDS),
            route(role + "/secret-id-accessor/lookup/?", {up: self.look_up_accessor}, fields=accessor),
            route(
                role + "/secret-id-accessor/destroy/?",
                {up: self.destroy_accessor, acl.DELETE: self.destroy_accessor},
                fields=accessor,
            ),
            route("tidy/secret-id/?", {up: self.tidy}),
        ]

    def role(self, view: View, name: str) -> Role | None:
        """Return a role by its name in any case."""
        return view.load(ROLE + name.lower(), Role)  # type: ignore[no-any-return]

    def known(self, call: Call, error: type[Exception], text: str = "") -> Role:
        """Return the role that the request names; raise the given error when there is none."""
        name = call.captures["role_name"]
        role = self.role(call.view, name)
        if role is None:
            raise error(text or f'role "{name}" does not exist')
        return role

    def make_secret(self, call: Call) -> Reply:
        """Make a secret id for a role."""
        role = self.known(call, NoRoute)
        return self._make_secret(call, role, str(uuid.uuid4()))

    def custom_secret(self, call: Call) -> Reply:
        """Store a secret id that the caller chose."""
        role = self.known(call, NoRoute)
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
        metadata = read_metadata(call.get("metadata"))
        blocks = checked_blocks(call.get("cidr_list"), role.secret_id_bound_cidrs)
        token_blocks = checked_blocks(call.get("token_bound_cidrs"), role.token_bound_cidrs, "token CIDR")
        key = self.secret_key(role, text)
        if call.view.get(key) is not None:
            raise Failed("failed to store secret_id: SecretID is already registered")
        expires = call.seconds + ttl if ttl else 0
        accessor = str(uuid.uuid4())
        record = SecretId(accessor, uses, ttl, call.now, call.now, expires, metadata, blocks, token_blocks)
        call.view.store(key, record)
        call.view.put(ACCESSOR + digest(accessor), f"{role.name}/{key.rpartition('/')[2]}".encode())
        shown = {"secret_id": text, "secret_id_accessor": accessor, "secret_id_ttl": ttl, "secret_id_num_uses": uses}
        return Reply(data=shown)

    def secret_key(self, role: Role, text: str) -> str:
        """Return where a secret id's record lies."""
        return f"{SECRET}{role.name}/{hmac.digest(role.key, text.encode(), 'sha256').hex()}"

    def secret(self, view: View, key: str, now: int) -> SecretId | None:
        """Return a secret id's record unless it is unknown or over."""
        record: SecretId | None = view.load(key, SecretId)
        return None if record is None or (record.expires and now >= record.expires) else record

    def drop(self, view: View, role: Role, name: str) -> None:
        """Erase a secret id by its stored name."""
        key = f"{SECRET}{role.name}/{name}"
        record = view.load(key, SecretId)
        if record is not None:
            view.delete(ACCESSOR + digest(record.accessor))
            view.delete(key, erase=True)

    async def list_secrets(self, call: Call) -> Reply:
        """Return the accessors of a role's secret ids."""
        role, found = self.known(call, Refused), []
        async for key in in_turns(self.core, call.view.walk(f"{SECRET}{role.name}/")):
            record = self.secret(call.view, key, call.seconds)
            if record is not None:
                found.append(record.accessor)
        if not found:
            raise Nothing("secret ids")
        return Reply(data={"keys": sorted(found)})

    def look_up(self, call: Call) -> Reply | None:
        """Describe a secret id; nothing for an unknown one."""
        if not call.get("secret_id"):
            raise Refused("missing secret_id")
        role = self.known(call, Failed)
        record = self.secret(call.view, self.secret_key(role, call.get("secret_id")), call.seconds)
        return None if record is None else Reply(data=described(record))

    def destroy(self, call: Call) -> None:
        """Forget a secret id."""
        if not call.get("secret_id"):
            raise Refused("missing secret_id")
        role = self.known(call, Failed)
        self.drop(call.view, role, self.secret_key(role, call.get("secret_id")).rpartition("/")[2])

    def _by_accessor(self, call: Call) -> tuple[Role, str, str]:
        """Return the role, the accessor and the owner's `role/digest`, "" for none."""
        accessor = call.get("secret_id_accessor")
        if not accessor:
            raise Refused("missing secret_id_accessor")
        role = self.known(call, Failed)
        return role, accessor, (call.view.get(ACCESSOR + digest(accessor)) or b"").decode()

    def look_up_accessor(self, call: Call) -> Reply | None:
        """Describe the secret id with an accessor."""
        role, accessor, owner = self._by_accessor(call)
        record = self.secret(call.view, SECRET + owner, call.seconds) if owner else None
        if record is None:
            text = f'failed to find accessor entry for secret_id_accessor: "{accessor}"'
            return Reply(status=404, data={"error": text})
        return Reply(data=described(record)) if owner.startswith(role.name + "/") else None

    def destroy_accessor(self, call: Call) -> None:
        """Forget the secret id with an accessor."""
        role, accessor, owner = self._by_accessor(call)
        if not owner.startswith(role.name + "/"):
            raise Failed(f'failed to find accessor entry for secret_id_accessor: "{accessor}"')
        self.drop(call.view, role, owner.rpartition("/")[2])

    def spend(self, call: Call, role: Role) -> SecretId | None:
        """Count a use of the given secret id; None when it is not valid for the role."""
        text = call.get("secret_id").strip()  # a line end comes along from a file
        if not text:
            raise Refused("missing secret_id")
        key = self.secret_key(role, text)
        record = self.secret(call.view, key, call.seconds)
        if record is None:
            return None
        if not within(call.peer.address, record.cidr_list):
            raise Refused(
                f'source address "{call.peer.address}" unauthorized through CIDR restrictions on the secret ID'
            )
        if record.num_uses == 1:
            self.drop(call.view, role, key.rpartition("/")[2])
        elif record.num_uses > 1:
            record.num_uses, record.updated = record.num_uses - 1, call.now
            call.view.store(key, record)
        return record

    def tidy(self, call: Call) -> Reply:
        """Remove the secret ids whose time is over."""
        self._sweep(call.view, call.view.walk(SECRET), call.seconds)
        return Reply(status=202, warnings=[TIDY])

    def _sweep(self, view: View, keys: Iterable[str], now: int) -> None:
        for key in keys:
            record = view.load(key, SecretId)
            if record is not None and record.expires and now >= record.expires:
                view.delete(ACCESSOR + digest(record.accessor))
                view.delete(key, erase=True)

    def tick(self, work: Work, now: int) -> None:
        """Remove secret ids whose time is over: a page at each tick, a round a minute."""
        view, seconds = View(work, self.mount.prefix), now // 1_000_000_000
        self._sweep(view, self._round.page(view, SECRET, seconds), seconds)


def digest(text: str) -> str:
    """Return a storage name for a public id."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def checked_blocks(blocks: list[str], outer: Iterable[str] = (), what: str = "CIDR") -> list[str]:
    """Return address blocks; raise Failed for one that is none, or that lies outside the role's."""
    bad = first_bad(blocks)
    if bad is not None:
        raise Failed(f"failed to validate {what} blocks: invalid CIDR address: {bad}")
    if not contained(blocks, outer):
        role, given = (f"[{' '.join(json.dumps(block) for block in part)}]" for part in (outer, blocks))
        raise Failed(
            "failed to verify subset relationship between CIDR blocks on the role "
            f"{role} and CIDR blocks on the secret ID {given}"
        )
    return blocks


def read_metadata(text: str) -> dict[str, str]:
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


def described(record: SecretId) -> dict[str, Any]:
    """Return what lookups tell of a secret id."""
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
