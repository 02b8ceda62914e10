"""auth/token/create…: what a fresh token may do and how long it lives (vault.md 3.3, 3.5)."""

import re
from fnmatch import fnmatchcase

from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.fields import to_text
from strongroom.kms.domain.records import Token
from strongroom.kms.domain.tokens import Lifetime, check_prefix, clean_policies, issue_ttl, random_text, shortest
from strongroom.kms.domain.values import parse_duration
from strongroom.kms.handlers.call import Auth, Call, Reply
from strongroom.kms.handlers.policies import RESPONSE_WRAPPING
from strongroom.kms.handlers.token_roles import Role, TokenRoles, lowered

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


class TokenCreation(TokenRoles):
    """The part of the token store that makes tokens."""

    def create(self, call: Call) -> Reply:
        """Make a child of the caller's token."""
        return self._create(call, orphan=False, role=None)

    def create_orphan(self, call: Call) -> Reply:
        """Make a token without a parent."""
        return self._create(call, orphan=True, role=None)

    def create_for_role(self, call: Call) -> Reply:
        """Make a token under a role's rules."""
        name = call.captures["role_name"]
        role = self.role(call.work, name)
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
        batch, alias = self._batch(call, role), self._alias(call, role)
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
            token.display_name = "token-" + re.sub("[^a-zA-Z0-9-]", "-", call.get("display_name")).removesuffix("-")
        token.parent, token.orphan = "" if orphan else parent.hash, orphan
        if not orphan:
            token.entity_id, token.inherited = parent.entity_id, parent.traits or None
            token.bound_cidrs = parent.bound_cidrs
        if alias:
            token.entity_id, token.inherited = self.core.identity.of(call.work, self.mount, alias, {}, call.now), None
        if call.get("num_uses") < 0:
            raise Refused("number of uses cannot be negative")
        token.num_uses = int(shortest(call.get("num_uses"), role.token_num_uses if role else 0))
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
        """Say whether the token is a batch token: a role's type counts unless it is a mere default."""
        kind = call.get("type")
        if kind not in ("", "service", "batch"):
            raise Refused("invalid 'token_type' value")
        if role is not None and (not kind or not role.token_type.startswith("default-")):
            kind = role.token_type.removeprefix("default-")
        return bool(kind == "batch")

    def _alias(self, call: Call, role: Role | None) -> str:
        """Return the name under which the token's entity is known, "" without one."""
        name = str(call.get("entity_alias")).lower()
        if name and role is None:
            raise Refused("'entity_alias' is only allowed in combination with token role")
        if name and role is not None and not any(fnmatchcase(name, g) for g in role.allowed_entity_aliases or ()):
            raise Refused("invalid 'entity_alias' value")
        return name

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
        if given and call.get("no_default_policy"):
            given = [name for name in given if name.strip().lower() != "default"] or [""]
        default = not call.get("no_default_policy") and not (role is not None and role.token_no_default_policy)
        if any(name.strip().lower() == RESPONSE_WRAPPING for name in given):
            raise Refused(f'cannot assign policy "{RESPONSE_WRAPPING}"')
        if role is not None:
            default = default and not role.bars("default")
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
        if not given:
            given = role.allowed_policies if limited else parent.policies
        policies = clean_policies(given, default=default)
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
        for name in policies:
            if role.bars(name):
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
        warnings: list[str] = []
        token.period = int(period)
        if role is not None:
            explicit = _lesser("Explicit max TTL", explicit, role.token_explicit_max_ttl, warnings)
            period = _lesser("Period", period, role.token_period, warnings)
            renewable = renewable and role.renewable
        token.explicit_max_ttl = int(explicit)
        if token.policies == ["root"] and not (ttl or period or explicit):
            return warnings
        default, maximum = self.core.default_ttl(self.mount), self.core.max_ttl(self.mount)
        token.ttl, capped = issue_ttl(Lifetime(default, maximum, ttl or default, period, explicit))
        token.expires, token.renewable = call.seconds + token.ttl, renewable
        return warnings + capped

    def _check_batch(self, token: Token) -> None:
        if token.policies == ["root"]:
            raise Refused("batch tokens cannot be root tokens")
        for name in ("explicit_max_ttl", "period", "num_uses"):
            if getattr(token, name):
                raise Refused(f'batch tokens cannot have "{name}" set')
        token.kind, token.accessor, token.renewable = "batch", "", False


def _lesser(what: str, asked: float, role: float, warnings: list[str]) -> float:
    """Return the lesser of what request and role say, with a warning when both do."""
    found = shortest(asked, role)
    if asked and role:
        warnings.append(
            f"{what} specified both during creation call and in role; using the lesser value of {found:g} seconds"
        )
    return found


def _quoted(names: list[str]) -> str:
    return "[" + " ".join(f'"{name}"' for name in names) + "]"
