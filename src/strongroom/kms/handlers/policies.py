"""Stored policies and the ACLs made of them, cached until a policy changes (vault.md 7.6)."""

import re
from dataclasses import replace

from strongroom.errors import Malformed
from strongroom.kms.domain.acl import Acl, Policy
from strongroom.kms.domain.entries import Work
from strongroom.kms.domain.records import PolicyRecord, Token
from strongroom.kms.wire.policies import parse_policy

PREFIX = "sys/policy/"
CACHED = 4096
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}")
RESPONSE_WRAPPING = "response-wrapping"
DEFAULT_TEXT = """# Attached to every token unless it is suppressed. It may be edited, not deleted.

# A token may look at, renew and give up itself, and ask what it may do.
path "auth/token/lookup-self"           { capabilities = ["read"] }
path "auth/token/renew-self"            { capabilities = ["update"] }
path "auth/token/revoke-self"           { capabilities = ["update"] }
path "sys/capabilities-self"            { capabilities = ["update"] }
path "sys/internal/ui/resultant-acl"    { capabilities = ["read"] }

# Its own entity.
path "identity/entity/id/{{identity.entity.id}}"     { capabilities = ["read"] }
path "identity/entity/name/{{identity.entity.name}}" { capabilities = ["read"] }

# Leases: whoever knows the id may renew it and look at it.
path "sys/leases/lookup"                { capabilities = ["update"] }
path "sys/leases/renew"                 { capabilities = ["update"] }

# Its own cubbyhole, wrapped answers, hashing.
path "cubbyhole/*"                      { capabilities = ["create", "read", "update", "delete", "list"] }
path "sys/wrapping/wrap"                { capabilities = ["update"] }
path "sys/wrapping/lookup"              { capabilities = ["update"] }
path "sys/wrapping/unwrap"              { capabilities = ["update"] }
path "sys/tools/hash"                   { capabilities = ["update"] }
path "sys/tools/hash/*"                 { capabilities = ["update"] }
"""
WRAPPING_TEXT = """path "cubbyhole/response"  { capabilities = ["create", "read"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
"""


class Policies:
    """The policy store of an unsealed server."""

    def __init__(self) -> None:
        self._acls: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], Acl] = {}
        self._tokens: dict[int, tuple[Token, Acl]] = {}
        self._parsed: dict[str, Policy | None] = {}

    def set_up(self, work: Work, now: int) -> None:
        """Store the built-in policies of a fresh server."""
        for name, text in (("default", DEFAULT_TEXT), (RESPONSE_WRAPPING, WRAPPING_TEXT)):
            if work.get(PREFIX + name) is None:
                work.store(PREFIX + name, PolicyRecord(text, modified=now))

    def read(self, work: Work, name: str) -> PolicyRecord | None:
        """Return a stored policy; `root` has an empty text."""
        if name == "root":
            return PolicyRecord("", version=0)
        return work.load(PREFIX + name, PolicyRecord)  # type: ignore[no-any-return]

    def write(self, work: Work, name: str, record: PolicyRecord) -> None:
        """Store a policy whose text parses; raise Malformed, also for a restriction that would not be kept."""
        for rule in parse_policy(name, record.text).rules:
            head = f'failed to parse policy: path "{rule.pattern}": '
            if rule.lacking:
                raise Malformed(head + f"{rule.lacking} is not supported; the rule would hold without it")
            if rule.pattern.count("{{") != rule.pattern.count("}}"):
                raise Malformed(head + "failed to validate policy templating: unbalanced templating characters")
        work.store(PREFIX + name, record)
        self.changed(name)

    def delete(self, work: Work, name: str) -> None:
        """Forget a policy."""
        work.delete(PREFIX + name)
        self.changed(name)

    def changed(self, name: str) -> None:
        """Drop what was made of a policy."""
        self._parsed.pop(name, None)
        self._acls.clear()
        self._tokens.clear()

    def names(self, work: Work) -> list[str]:
        """Return all names: sorted, those with `/` after the others, `root` last (vault.md 2.7)."""
        found = [key[len(PREFIX) :] for key in work.walk(PREFIX)]
        shown = sorted((name for name in found if name != RESPONSE_WRAPPING), key=lambda n: ("/" in n, n))
        return [*shown, "root"]

    def acl_of(self, token: Token) -> Acl | None:
        """Return what was made for this very record of a token, until a policy changes."""
        known = self._tokens.get(id(token))
        return known[1] if known is not None and known[0] is token else None

    def make_acl(self, work: Work, token: Token, identity: dict[str, str]) -> Acl:
        """Return the united rules of a token's policies; identity fills their templates."""
        names = tuple(token.policies)
        key = names, tuple(sorted(identity.items()))
        found = self._acls.get(key)
        if found is None:
            if len(self._acls) > CACHED:
                self._acls.clear()
            policies = [policy for policy in (self._policy(work, name) for name in names) if policy is not None]
            found = self._acls[key] = Acl([_filled(policy, identity) for policy in policies], root="root" in names)
        if token.kind == "service":  # a batch token is another record each time
            if len(self._tokens) > CACHED:
                self._tokens.clear()
            self._tokens[id(token)] = token, found
        return found

    def _policy(self, work: Work, name: str) -> Policy | None:
        if name not in self._parsed:
            record = work.load(PREFIX + name, PolicyRecord)
            try:
                self._parsed[name] = None if record is None else parse_policy(name, record.text)
            except Malformed:
                self._parsed[name] = None
        return self._parsed[name]

    def forget(self) -> None:
        """Drop the caches."""
        self._acls.clear()
        self._tokens.clear()
        self._parsed.clear()


def _filled(policy: Policy, identity: dict[str, str]) -> Policy:
    """Return the policy with templates replaced; a rule whose template has no value is dropped (vault.md 7.5).

    A value is put in once and not looked at again: it is a caller's name, and may hold braces itself. One with a
    character that patterns know counts as none.
    """
    rules = []
    for rule in policy.rules:
        if "{{" not in rule.pattern:
            rules.append(rule)
            continue
        values = [identity.get(name.strip(), "") for name in _TEMPLATE.findall(rule.pattern)]
        if all(value and not set(value) & set("/*+") for value in values):
            filled = iter(values)
            pattern = _TEMPLATE.sub(lambda _, filled=filled: next(filled), rule.pattern)  # type: ignore[misc]
            if "{{" not in _TEMPLATE.sub("", rule.pattern):
                rules.append(replace(rule, pattern=pattern))
    return Policy(policy.name, tuple(rules))
