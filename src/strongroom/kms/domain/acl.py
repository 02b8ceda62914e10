"""ACL policies: which token may do what (vault.md 7). Pure functions of rules and a request."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

CREATE, READ, UPDATE, DELETE, LIST, SUDO, PATCH, SCAN, DENY = (1 << n for n in range(9))
CAPABILITIES = {
    "create": CREATE,
    "read": READ,
    "update": UPDATE,
    "delete": DELETE,
    "list": LIST,
    "sudo": SUDO,
    "patch": PATCH,
    "scan": SCAN,
    "deny": DENY,
}
OLD_POLICIES = {
    "deny": DENY,
    "read": READ | LIST,
    "write": CREATE | READ | UPDATE | DELETE | LIST,
    "sudo": CREATE | READ | UPDATE | DELETE | LIST | SUDO,
}
ANY = CREATE | READ | UPDATE | DELETE | LIST | PATCH | SCAN
CACHED_PATHS, CACHED_LENGTH = 8192, 512  # decisions that are remembered, characters of their paths
Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One path stanza: the pattern as written without a leading `/`, and what it allows.

    allowed, denied: parameter name in lower case → values, () for any; wrapping limits in seconds, 0 for none.
    lacking: the key of a restriction that is written there and not kept here.
    """

    pattern: str
    capabilities: int
    allowed: Values = field(default_factory=dict)
    denied: Values = field(default_factory=dict)
    required: tuple[str, ...] = ()
    min_wrap: float = 0
    max_wrap: float = 0
    names: tuple[str, ...] = ()
    lacking: str = ""

    @property
    def limited(self) -> bool:
        """Whether the request's content matters, beyond its path and operation."""
        return bool(self.allowed or self.denied or self.required or self.min_wrap or self.max_wrap)


@dataclass(frozen=True, slots=True)
class Policy:
    """A named document's rules."""

    name: str
    rules: tuple[Rule, ...]


def merge(a: Rule, b: Rule) -> Rule:
    """Return the rule of two stanzas with the same pattern: united, `deny` in either wins (vault.md 7.3)."""
    capabilities = a.capabilities | b.capabilities
    return replace(
        a,
        capabilities=DENY if capabilities & DENY else capabilities,
        allowed=_merge_values(a.allowed, b.allowed),
        denied=_merge_values(a.denied, b.denied),
        required=tuple(dict.fromkeys(a.required + b.required)),
        min_wrap=min(filter(None, (a.min_wrap, b.min_wrap)), default=0),
        max_wrap=min(filter(None, (a.max_wrap, b.max_wrap)), default=0),
        names=tuple(dict.fromkeys(a.names + b.names)),
    )


def _merge_values(a: Values, b: Values) -> Values:
    merged = dict(a)
    for key, values in b.items():
        known = merged.get(key)
        merged[key] = values if known is None else (() if not known or not values else (*known, *values))
    return merged


def segments_match(pattern: str, path: str) -> bool:
    """Say whether path matches a pattern with `+` segments and perhaps a trailing `*`."""
    open_end = pattern.endswith("*")
    wanted = (pattern[:-1] if open_end else pattern).split("/")
    given = path.split("/")
    if len(given) < len(wanted) or (not open_end and len(given) > len(wanted)):
        return False
    last = len(wanted) - 1
    for place, segment in enumerate(wanted):
        if segment == "+":
            continue
        if open_end and place == last:
            return "/".join(given[place:]).startswith(segment)
        if segment != given[place]:
            return False
    return True


def priority(pattern: str) -> tuple[int, bool, int, int, str]:
    """Return a key by which the best of several matching patterns is the greatest (vault.md 7.3)."""
    plus = [place for place, segment in _places(pattern) if segment == "+"]
    star = [len(pattern) - 1] if pattern.endswith("*") else []
    return min(plus + star), not star, -len(plus), len(pattern), pattern


def _places(pattern: str) -> Iterable[tuple[int, str]]:
    place = 0
    for segment in pattern.removesuffix("*").split("/"):
        yield place, segment
        place += len(segment) + 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What a decision sees of a request: wrap is the wrapping TTL in seconds, None without."""

    operation: int
    path: str
    data: Mapping[str, Any]
    wrap: float | None = None
    sudo: bool = False


class Acl:
    """The united rules of a token's policies."""

    def __init__(self, policies: Iterable[Policy], *, root: bool = False) -> None:
        self.root = root
        self.exact: dict[str, Rule] = {}
        self.patterns: dict[str, Rule] = {}
        for policy in policies:
            for rule in policy.rules:
                self._add(replace(rule, names=(policy.name,)))
        ranked = sorted(self.patterns.values(), key=lambda r: priority(r.pattern), reverse=True)
        self._plain = [(r.pattern[:-1], r) for r in ranked if "+" not in r.pattern.split("/") and r.pattern[-1] == "*"]
        self._ranked = ranked
        self._simple = len(self._plain) == len(ranked)
        self._found: dict[tuple[str, bool], Rule | None] = {}

    def _add(self, rule: Rule) -> None:
        wild = rule.pattern.endswith("*") or "+" in rule.pattern.removesuffix("*").split("/")
        into = self.patterns if wild else self.exact
        known = into.get(rule.pattern)
        if known is not None:
            rule = merge(known, rule)
        elif rule.capabilities & DENY:
            rule = replace(rule, capabilities=DENY)
        into[rule.pattern] = rule

    def rule(self, path: str, *, listing: bool = False) -> Rule | None:
        """Return the one rule that decides about path, None when none matches."""
        known = self._found.get((path, listing), self)
        if known is not self:
            return known  # type: ignore[return-value]
        found = self.exact.get(path)
        if found is None and listing and path.endswith("/"):
            found = self.exact.get(path[:-1])
        if found is None:
            found = self._pattern(path)
        if found is None and listing and path.endswith("/"):
            found = self._pattern(path[:-1])
        if len(path) <= CACHED_LENGTH:
            if len(self._found) >= CACHED_PATHS:
                self._found.clear()
            self._found[path, listing] = found
        return found

    def _pattern(self, path: str) -> Rule | None:
        if self._simple:
            return next((rule for prefix, rule in self._plain if path.startswith(prefix)), None)
        for rule in self._ranked:
            plus = "+" in rule.pattern.split("/") or "+" in rule.pattern.removesuffix("*").split("/")
            if segments_match(rule.pattern, path) if plus else path.startswith(rule.pattern[:-1]):
                return rule
        return None

    def allows(self, asked: Asked) -> bool:
        """Decide about a request."""
        return self.root or self.grant(asked) is not None

    def grant(self, asked: Asked) -> Rule | None:
        """Return the rule that allows the request, None for a refusal (not for root, which has no rules)."""
        operation = asked.operation
        rule = self.rule(asked.path, listing=operation in (LIST, SCAN))
        if rule is None or not rule.capabilities & operation or (asked.sudo and not rule.capabilities & SUDO):
            return None
        if rule.limited and not _content_allowed(rule, asked):
            return None
        return rule

    def capabilities(self, path: str) -> list[str]:
        """Return the sorted capability names for a path; `["root"]`, `["deny"]` (vault.md 2.9)."""
        if self.root:
            return ["root"]
        rule = self.rule(path, listing=True)
        if rule is None or rule.capabilities & DENY or not rule.capabilities:
            return ["deny"]
        return sorted(name for name, bit in CAPABILITIES.items() if rule.capabilities & bit)

    def any_below(self, mount: str) -> bool:
        """Say whether some rule gives access to a path at or below mount (`kv/`)."""
        if self.root:
            return True
        for rule in (*self.exact.values(), *self.patterns.values()):
            if rule.capabilities & ANY and not rule.capabilities & DENY and _reaches(rule.pattern, mount):
                return True
        return False


def _reaches(pattern: str, mount: str) -> bool:
    """Say whether some path that pattern matches can lie at or below mount."""
    open_end = pattern.endswith("*")
    wanted = pattern.removesuffix("*").split("/")
    for place, segment in enumerate(mount.rstrip("/").split("/")):
        if place >= len(wanted):
            return open_end
        if open_end and place == len(wanted) - 1:
            return segment.startswith(wanted[place]) or wanted[place] == "+"
        if wanted[place] not in ("+", segment):
            return False
    return True


def _content_allowed(rule: Rule, asked: Asked) -> bool:
    if rule.min_wrap or rule.max_wrap:
        if asked.wrap is None or asked.wrap < rule.min_wrap:
            return False
        if rule.max_wrap and asked.wrap > rule.max_wrap:
            return False
    if asked.operation in (DELETE, LIST, SCAN):
        return True
    data = asked.data
    if any(name not in data for name in rule.required):
        return False
    lower = {key.lower(): value for key, value in data.items()}
    return not _denied(rule.denied, lower) and _allowed(rule.allowed, lower)


def _denied(denied: Values, data: Mapping[str, Any]) -> bool:
    if "*" in denied and data:
        return True
    for key, values in denied.items():
        if key in data and (not values or any(value_matches(v, data[key]) for v in values)):
            return True
    return False


def _allowed(allowed: Values, data: Mapping[str, Any]) -> bool:
    if not allowed:
        return True
    for key, value in data.items():
        values = allowed.get(key)
        if values is None:
            if "*" not in allowed:
                return False
        elif values and not any(value_matches(v, value) for v in values):
            return False
    return True


def value_matches(wanted: Any, given: Any) -> bool:
    """Compare a policy's value with a request's: text may have `*` at its ends; numbers never match (vault.md 7.4)."""
    if isinstance(wanted, bool) or isinstance(given, bool):
        return wanted is given
    if not (isinstance(wanted, str) and isinstance(given, str)):
        return False
    if wanted.startswith("*") and wanted.endswith("*") and len(wanted) > 1:
        return wanted[1:-1] in given
    if wanted.startswith("*"):
        return given.endswith(wanted[1:])
    if wanted.endswith("*"):
        return given.startswith(wanted[:-1])
    return wanted == given
