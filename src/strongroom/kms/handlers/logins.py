"""What all auth methods share: token fields of a role, and the token that a login makes (vault.md 3.5, 4.3)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from strongroom.kms.domain.cidrs import token_blocks
from strongroom.kms.domain.errors import Failed, Refused
from strongroom.kms.domain.records import Token
from strongroom.kms.domain.tokens import Lifetime, clean_policies, issue_ttl, random_text
from strongroom.kms.handlers.call import Auth, Call, Renewal, Reply

FIELDS = {
    "token_policies": "list",
    "policies": "list",
    "token_ttl": "seconds",
    "token_max_ttl": "seconds",
    "token_explicit_max_ttl": "seconds",
    "token_period": "seconds",
    "period": "seconds",
    "token_num_uses": "int",
    "token_bound_cidrs": "list",
    "token_no_default_policy": "bool",
    "token_type": "text",
    "token_strictly_bind_ip": "bool",
}
OLDER = {"ttl": "seconds", "max_ttl": "seconds", "bound_cidrs": "list"}  # names that methods but AppRole take as well
OLDER_NAMES = {
    "token_policies": "policies",
    "token_period": "period",
    "token_ttl": "ttl",
    "token_max_ttl": "max_ttl",
    "token_bound_cidrs": "bound_cidrs",
}
TYPES = {"", "default", "service", "batch"}


class TokenRules(msgspec.Struct):
    """The `token_*` fields of a role, user or certificate; TTLs in seconds. old: fields given by their old names."""

    token_policies: list[str] = msgspec.field(default_factory=list)
    token_ttl: int = 0
    token_max_ttl: int = 0
    token_explicit_max_ttl: int = 0
    token_period: int = 0
    token_num_uses: int = 0
    token_bound_cidrs: list[str] = msgspec.field(default_factory=list)
    token_no_default_policy: bool = False
    token_type: str = "default"  # noqa: S105 - a kind
    token_strictly_bind_ip: bool = False
    old: list[str] = msgspec.field(default_factory=list)

    OLD: ClassVar[Mapping[str, str]] = {"token_policies": "policies", "token_period": "period"}

    def take(self, call: Call) -> None:
        """Change what the request gives; raise Refused."""
        for name in ("token_ttl", "token_max_ttl", "token_explicit_max_ttl", "token_period"):
            if self._given(call, name):
                setattr(self, name, int(self._value(call, name)))
        for name in ("token_no_default_policy", "token_strictly_bind_ip", "token_policies", "token_num_uses"):
            if self._given(call, name):
                setattr(self, name, self._value(call, name))
        if self._given(call, "token_bound_cidrs"):
            self.token_bound_cidrs = token_blocks(self._value(call, "token_bound_cidrs"))
        if call.has("token_type"):
            self.token_type = self.adjusted(call.get("token_type")) or "default"
        self._check()

    def adjusted(self, kind: str) -> str:
        """Return a given token type as this method takes it."""
        return kind

    def _given(self, call: Call, name: str) -> bool:
        """Say whether a field was given, and remember under which name."""
        old = self.OLD.get(name, "")
        if old and call.has(old):
            self.old = sorted({*self.old, old})
            return True
        if call.has(name):
            self.old = [known for known in self.old if known != old]
            return True
        return False

    def _value(self, call: Call, name: str) -> Any:
        """Return a given field; the new name wins."""
        return call.get(name) if call.has(name) else call.get(self.OLD[name])

    def _check(self) -> None:
        if self.token_type not in TYPES:
            raise Refused(f"invalid 'token_type' value \"{self.token_type}\"")
        if self.token_num_uses < 0:
            raise Refused("'token_num_uses' cannot be negative")
        if self.token_max_ttl and self.token_ttl > self.token_max_ttl:
            raise Refused("'token_ttl' cannot be greater than 'token_max_ttl'")
        if "batch" in self.token_type and (self.token_period or self.token_num_uses):
            raise Refused("'token_type' cannot be 'batch' or 'default_batch' when set to generate periodic tokens")

    def shown(self) -> dict[str, Any]:
        """Return the fields as a read answers them, old names included when they were used."""
        found = {name: getattr(self, name) for name in self.__struct_fields__ if name != "old"}
        return found | {old: found[new] for new, old in self.OLD.items() if old in self.old}

    def policies(self) -> list[str]:
        """Return the policies of a token made under these rules."""
        return clean_policies(self.token_policies, default=not self.token_no_default_policy)

    def renewal(self, token: Token | None = None) -> Renewal:
        """Return the present rules for a token made under them; raise Failed when a given token has other policies."""
        if token is not None and set(token.policies) - {"default"} != set(self.policies()) - {"default"}:
            raise Failed("failed to renew entry: policies have changed, not renewing")
        return Renewal(self.token_ttl, self.token_max_ttl, self.token_period, self.token_explicit_max_ttl)


def _kind(wanted: str, mount: str) -> str:
    """Return the type of a token: the mount's, unless that is a mere default and the role names one."""
    if mount in ("service", "batch"):
        return mount
    if wanted in ("service", "batch"):
        return wanted
    return "batch" if mount == "default-batch" else "service"


def log_in(
    call: Call,
    rules: TokenRules,
    *,
    alias: str,
    display_name: str,
    metadata: dict[str, str],
    internal: dict[str, Any],
    blocks: list[str] | None = None,
) -> Reply:
    """Return the answer of a successful login: a fresh token under rules. Raises Refused for a root policy."""
    core, mount = call.core, call.mount
    policies = rules.policies()
    if "root" in policies:
        raise Refused("auth methods cannot create root tokens")
    maximum = min(rules.token_max_ttl or core.max_ttl(mount), core.max_ttl(mount))
    life = Lifetime(core.default_ttl(mount), maximum, rules.token_ttl, rules.token_period, rules.token_explicit_max_ttl)
    ttl, warnings = issue_ttl(life)
    kind = _kind(rules.token_type, mount.config.token_type)
    token = Token("", random_text(24), policies, call.full, display_name, call.seconds, call.now)
    token.ttl, token.expires, token.orphan = ttl, call.seconds + ttl, True
    token.meta, token.kind, token.period = metadata or None, kind, rules.token_period
    token.explicit_max_ttl, token.num_uses = rules.token_explicit_max_ttl, rules.token_num_uses
    token.bound_cidrs = blocks or rules.token_bound_cidrs
    token.entity_id = core.identity.of(call.work, mount, alias, metadata, call.now)
    token.renewable = kind == "service"
    token.source, token.internal = mount.path, internal
    if kind == "batch":
        token.accessor, token.num_uses, token.period, token.explicit_max_ttl = "", 0, 0, 0
    text = core.live.tokens.create(call.work, token, "s." + random_text(24))
    return Reply(auth=Auth(text, token, ttl, token.renewable), warnings=warnings or None)
