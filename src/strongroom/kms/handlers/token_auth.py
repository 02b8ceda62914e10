"""auth/token/: create, look up, renew and revoke tokens, and their roles (vault.md 3)."""

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Failed, Forbidden, Refused
from strongroom.kms.domain.fields import to_text
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.domain.tokens import Lifetime, check_prefix, clean_policies, issue_ttl, random_text
from strongroom.kms.domain.values import parse_duration
from strongroom.kms.handlers.call import Auth, Call, Renewal, Reply, Router, route
from strongroom.kms.handlers.policies import RESPONSE_WRAPPING
from strongroom.kms.handlers.rounds import in_turns
from strongroom.kms.handlers.token_roles import ROLES, Role, TokenRoles, described, lowered
from strongroom.kms.wire.policies import one_error

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

TIDY = "Tidy operation successfully started. Any information from the operation will be printed to the server's logs."
SHA1 = (
    "Supplying a custom ID for the token uses the weaker SHA1 hashing instead of the more secure SHA2-256 HMAC for "
    "token obfuscation. SHA1 hashed tokens on the wire leads to less secure lookups."
)
CREATE = {
    "id": "text",
    "policies": "any",
    "meta": "pairs",
    "metadata": "pairs",
    "no_parent": "bool",
    "no_default_policy": "bool",
    "renewable": "bool",
    "ttl": "any",
    "lease": "any",
    "explicit_max_ttl": "any",
    "period": "any",
    "num_uses": "int",
    "display_name": "text",
    "type": "text",
    "entity_alias": "text",
}


def _lasting(call: Call, name: str) -> float:
    """Return a duration that create parses by itself; raise Refused with Go's bare text (vault.md 1.3)."""
    value = call.data.get(name)
    if value is None:
        return 0
    try:
        return parse_duration(to_text(value))
    except ValueError as error:
        raise Refused(str(error)) from error


class TokenAuth(TokenRoles):
    """The token store's routes."""

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(core, mount)
        one, accessor = {"token": "text"}, {"accessor": "text"}
        renew = {"increment": "seconds"}
        up = acl.UPDATE
        self.router = Router(
            [
                route("create", {up: self.create}, fields=CREATE, sudo=False),
                route("create-orphan", {up: self.create_orphan}, fields=CREATE),
                route("create/(?P<role_name>[^/]+)", {up: self.create_for_role}, fields=CREATE),
                route("lookup-self", {acl.READ: self.lookup_self, up: self.lookup_self}, fields=one),
                route("lookup", {acl.READ: self.lookup, up: self.lookup}, fields=one),
                route("lookup-accessor", {up: self.lookup_accessor}, fields=accessor),
                route("renew-self", {up: self.renew_self}, fields=renew | one),
                route("renew", {up: self.renew}, fields=renew | one),
                route("renew-accessor", {up: self.renew_accessor}, fields=renew | accessor),
                route("revoke-self", {up: self.revoke_self}),
                route("revoke", {up: self.revoke}, fields=one),
                route("revoke-orphan", {up: self.revoke_orphan}, fields=one, sudo=True),
                route("revoke-accessor", {up: self.revoke_accessor}, fields=accessor),
                route("accessors/?", {acl.LIST: self.accessors}, sudo=True),
                *self.role_routes(),
                route("tidy", {up: self.tidy}),
            ]
        )

    def create(self, call: Call) -> Reply:
        """Make a child of the caller's token."""
        return self._create(call, orphan=False, role=None)

    def create_orphan(self, call: Call) -> Reply:
        """Make a token without a parent."""
        return self._create(call, orphan=True, role=None)

    def create_for_role(self, call: Call) -> Reply:
        """Make a token under a role's rules."""
        name = call.captures["role_name"]
        role = call.view.load(ROLES + name, Role)
        if role is None:
            raise Refused(f"unknown role {name}")
        return self._create(call, orphan=role.orphan, role=role)

    def _create(self, call: Call, *, orphan: bool, role: Role | None) -> Reply:
        parent = call.require_token()
        if parent.num_uses:
            raise Refused("restricted use token cannot generate child tokens")
        if parent.kind == "batch":
            raise Refused("batch tokens cannot create more tokens")
        sudo = call.rules is not None and call.rules.allows(acl.Asked(acl.UPDATE, call.full, {}, None, sudo=True))
        batch = self._batch(call, role)
        text = self._id(call, sudo=sudo)
        policies = self._policies(call, parent, role, sudo=sudo)
        if call.get("no_parent") and not orphan:
            if not sudo:
                raise Refused("root or sudo privileges required to create orphan token")
            orphan = True
        seconds = call.seconds
        token = Token("", random_text(24), policies, self._path(call, role), "token", seconds, call.now)
        token.meta = call.get("meta") or call.get("metadata") or None
        if call.get("display_name"):
            token.display_name = "token-" + re.sub("[^a-zA-Z0-9-]", "-", call.get("display_name"))
        token.parent, token.orphan = "" if orphan else parent.hash, orphan
        if not orphan:
            token.entity_id, token.inherited = parent.entity_id, parent.traits or None
            token.bound_cidrs = parent.bound_cidrs
        token.num_uses = call.get("num_uses") or (role.token_num_uses if role else 0)
        if token.num_uses < 0:
            raise Refused("number of uses cannot be negative")
        warnings = self._lifetime(call, token, role, sudo=sudo)
        if role is not None:
            token.role, token.bound_cidrs = role.name, role.token_bound_cidrs
        if batch:
            self._check_batch(token)
        text = self.core.live.tokens.create(call.work, token, text or "s." + random_text(24))
        if call.get("id"):
            warnings.append(SHA1)
        known = self.core.live.policies
        warnings += [f'Policy "{name}" does not exist' for name in policies if known.read(call.work, name) is None]
        return Reply(auth=Auth(text, token, token.ttl, token.renewable), warnings=warnings or None)

    def _path(self, call: Call, role: Role | None) -> str:
        if role is None:
            return call.full
        return "/".join(filter(None, (f"auth/token/create/{role.name}", role.path_suffix)))

    def _batch(self, call: Call, role: Role | None) -> bool:
        kind = call.get("type") or ("" if role is None else role.token_type)
        if kind not in ("", "service", "batch", "default-service", "default-batch"):
            raise Refused("invalid 'token_type' value")
        return kind in ("batch", "default-batch")

    def _id(self, call: Call, *, sudo: bool) -> str:
        text: str = call.get("id")
        if not text:
            return ""
        if not sudo:
            raise Refused("root or sudo privileges required to specify token id")
        check_prefix(text)
        if self.core.live.tokens.by_hash(call.work, self.core.live.tokens.hash(text)) is not None:
            raise Refused("cannot create a token with a duplicate ID")
        return text

    def _policies(self, call: Call, parent: Token, role: Role | None, *, sudo: bool) -> list[str]:
        given = call.get("policies", "plain")
        default = not call.get("no_default_policy") and not (role is not None and role.token_no_default_policy)
        if any(name.strip().lower() == RESPONSE_WRAPPING for name in given):
            raise Refused(f'cannot assign policy "{RESPONSE_WRAPPING}"')
        if role is not None:
            return self._role_policies(given, parent, role, default=default)
        if not given:
            return clean_policies([name for name in parent.policies if name != "default"], default=default)
        policies = clean_policies(given, default=default)
        root = "root" in parent.policies
        if policies == ["root"] and not root:
            if not sudo:
                raise Refused("child policies must be subset of parent")
            raise Refused("root tokens may not be created without parent token being root")
        if not sudo and not root and not set(policies) - {"default"} <= set(parent.policies):
            raise Refused("child policies must be subset of parent")
        return policies

    def _role_policies(self, given: list[str], parent: Token, role: Role, *, default: bool) -> list[str]:
        limited = role.allowed_policies or role.allowed_policies_glob
        if not given and limited:
            given = role.allowed_policies
        policies = clean_policies(given or parent.policies, default=default)
        allowed = clean_policies(role.allowed_policies, default=default)
        if limited:
            globbed = lowered(role.allowed_policies_glob)
            if any(p not in allowed and not any(fnmatchcase(p, g) for g in globbed) for p in policies):
                raise Refused(
                    f"token policies ({_quoted(policies)}) must be subset of the role's allowed policies "
                    f"({_quoted(allowed)}) or glob policies ({_quoted(globbed)})"
                )
        elif (
            not (role.disallowed_policies or role.disallowed_policies_glob)
            and "root" not in parent.policies
            and not set(policies) - {"default"} <= set(parent.policies)
        ):
            raise Refused("child policies must be subset of parent")  # a role without any list frees nobody (tried)
        barred, globs = lowered(role.disallowed_policies), lowered(role.disallowed_policies_glob)
        for name in policies:
            if name in barred or any(fnmatchcase(name, g) for g in globs):
                raise Refused(f'token policy "{name}" is disallowed by this role')
        if "root" in policies and "root" not in parent.policies:
            raise Refused("root tokens may not be created without parent token being root")
        return policies

    def _lifetime(self, call: Call, token: Token, role: Role | None, *, sudo: bool) -> list[str]:
        """Set the token's TTLs from the request and its role; return warnings. Raises Refused."""
        ttl = _lasting(call, "ttl") or _lasting(call, "lease")
        if ttl < 0:
            raise Refused("ttl must be positive")
        explicit, period = _lasting(call, "explicit_max_ttl"), _lasting(call, "period")
        if explicit < 0:
            raise Refused("explicit_max_ttl must be positive")
        if period < 0:
            raise Refused("period must be positive")
        if period and not sudo:
            raise Refused("root or sudo privileges required to create periodic token")
        if call.get("type") == "batch":
            named = (("explicit_max_ttl", explicit), ("period", period), ("num_uses", token.num_uses))
            for name, value in named:
                if value:
                    raise Refused(f'batch tokens cannot have "{name}" set')
        renewable = call.get("renewable") if call.has("renewable") else True
        if role is not None:
            period = role.token_period or period
            shortest = [value for value in (role.token_explicit_max_ttl, explicit) if value]
            explicit = min(shortest, default=0)
            renewable = renewable and role.renewable
        token.period, token.explicit_max_ttl = int(period), int(explicit)
        if token.policies == ["root"] and not (ttl or period or explicit):
            return []
        default, maximum = self.core.default_ttl(self.mount), self.core.max_ttl(self.mount)
        token.ttl, warnings = issue_ttl(Lifetime(default, maximum, ttl, period, explicit))
        token.expires, token.renewable = call.seconds + token.ttl, renewable
        return warnings

    def _check_batch(self, token: Token) -> None:
        if token.policies == ["root"]:
            raise Refused("batch tokens cannot be root tokens")
        for name in ("explicit_max_ttl", "period", "num_uses"):
            if getattr(token, name):
                raise Refused(f'batch tokens cannot have "{name}" set')
        token.kind, token.accessor, token.renewable = "batch", "", False

    def _named(self, call: Call) -> tuple[str, Token | None]:
        """Return the text and token that the request names, the caller's own without a name."""
        text = call.get("token")
        if not text:
            return call.token_text, call.token
        return text, self.core.live.tokens.find(call.work, text, call.seconds)

    def lookup(self, call: Call) -> Reply:
        """Describe a token."""
        text, token = self._named(call)
        if token is None:
            raise Forbidden("bad token")
        return Reply(data=described(token, text, call.seconds))

    def lookup_self(self, call: Call) -> Reply:
        """Describe the caller's token."""
        return Reply(data=described(call.require_token(), call.token_text, call.seconds))

    def _by_accessor(self, call: Call) -> Token:
        accessor = call.get("accessor")
        if not accessor:
            raise Refused(one_error("missing accessor"))
        token = self.core.live.tokens.by_accessor(call.work, accessor, call.seconds)
        if token is None:
            raise Refused(one_error("invalid accessor"))
        return token

    def lookup_accessor(self, call: Call) -> Reply:
        """Describe a token without telling its text."""
        return Reply(data=described(self._by_accessor(call), "", call.seconds))

    def renew_self(self, call: Call) -> Reply:
        """Prolong the caller's token."""
        return self._renew(call, call.token_text, call.require_token())

    def renew(self, call: Call) -> Reply:
        """Prolong a token."""
        text = call.get("token")
        if not text:
            raise Refused("missing token ID")
        token = self.core.live.tokens.find(call.work, text, call.seconds)
        if token is None:
            raise Refused("token not found")
        return self._renew(call, text, token)

    def renew_accessor(self, call: Call) -> Reply:
        """Prolong a token without being told its text."""
        return self._renew(call, "", self._by_accessor(call))

    def _renew(self, call: Call, text: str, token: Token) -> Reply:
        if token.kind == "batch":
            raise Refused("batch tokens cannot be renewed")
        if not token.expires:
            raise Refused("invalid lease ID")
        if not token.renewable:
            raise Refused("lease is not renewable")
        rules = self._rules(call, token)
        elapsed = call.seconds - token.created
        ttl, warnings = issue_ttl(rules[0], elapsed) if elapsed < rules[0].maximum or rules[1] else (0, [])
        if ttl <= 0:
            raise Refused("past the max TTL, cannot renew")
        token.renewed, token.granted = call.seconds, ttl
        self.core.live.tokens.reschedule(call.work, token, call.seconds + ttl)
        return Reply(auth=Auth(text, token, ttl, token.renewable), warnings=warnings or None)

    def _rules(self, call: Call, token: Token) -> tuple[Lifetime, bool]:
        """Return what bounds a renewal, and whether the token is periodic; a login's role is read again."""
        increment = call.get("increment")
        mount = self.core.live.mounts.get(token.source) if token.source else self.mount
        if mount is None:
            raise Failed("failed to renew entry: the auth method is gone")
        found: Renewal | None = None
        if token.source:
            found = self.core.live.backends[mount.uuid].renewed(call, token)
        if found is None:
            found = Renewal(token.granted or token.ttl, 0, token.period, token.explicit_max_ttl)
        maximum = min(found.max_ttl or self.core.max_ttl(mount), self.core.max_ttl(mount))
        default = found.ttl or token.ttl or self.core.default_ttl(mount)
        life = Lifetime(default, maximum, increment, found.period, token.explicit_max_ttl)
        return life, bool(found.period)

    def revoke_self(self, call: Call) -> None:
        """Revoke the caller's token and its children."""
        token = call.require_token()
        self._not_batch(token)
        self.core.live.tokens.revoke(call.work, token.hash)

    def _not_batch(self, token: Token | None) -> None:
        if token is not None and token.kind == "batch":
            raise Refused("batch tokens cannot be revoked")

    def _doomed(self, call: Call) -> str:
        text = call.get("token")
        if not text:
            raise Refused("missing token ID")
        if text.startswith("b."):
            self._not_batch(self.core.live.tokens.find(call.work, text, call.seconds))
        return self.core.live.tokens.hash(text)

    def revoke(self, call: Call) -> None:
        """Revoke a token and its children; an unknown one is no error."""
        self.core.live.tokens.revoke(call.work, self._doomed(call))

    def revoke_orphan(self, call: Call) -> None:
        """Revoke a token; its children live on as orphans."""
        self.core.live.tokens.revoke(call.work, self._doomed(call), tree=False)

    def revoke_accessor(self, call: Call) -> Reply | None:
        """Revoke the token with an accessor; an unknown one is a warning."""
        accessor = call.get("accessor")
        if not accessor:
            raise Refused(one_error("missing accessor"))
        token = self.core.live.tokens.by_accessor(call.work, accessor, call.seconds)
        if token is None:
            return Reply(warnings=["No token found with this accessor"])
        self.core.live.tokens.revoke(call.work, token.hash)
        return None

    async def accessors(self, call: Call) -> Reply:
        """Return the accessors of all tokens."""
        found = []
        async for name in in_turns(self.core, call.work.names("sys/token/id/")):
            token: Token | None = call.work.load(f"sys/token/id/{name}", Token)
            if token is not None and not (token.expires and call.seconds >= token.expires):
                found.append(token.accessor)
        return Reply(data={"keys": sorted(found)})

    def tidy(self, call: Call) -> Reply:
        """Answer as the original does; nothing is left over here that would need it."""
        return Reply(status=202, warnings=[TIDY])


def _quoted(names: list[str]) -> str:
    return "[" + " ".join(f'"{name}"' for name in names) + "]"
