"""Who may call what (kes.md 3): a pure function of identity and decoded path."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from strongroom.errors import BadSettings, Denied
from strongroom.kes.domain.names import valid_name


@dataclass(frozen=True, slots=True)
class Policy:
    """Patterns that allow and deny, and the identities they hold for.

    globs: the patterns are those of an old configuration (`paths`), matched segment by segment as servers up to 2023
    did; otherwise a final `*` matches any rest, slashes included.
    """

    name: str
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    globs: bool = False

    def allows(self, path: str) -> bool:
        """Say whether a call of path is allowed: no deny pattern matches and some allow pattern does."""
        matches = glob_matches if self.globs else prefix_matches
        return not any(matches(pattern, path) for pattern in self.deny) and any(
            matches(pattern, path) for pattern in self.allow
        )


def prefix_matches(pattern: str, path: str) -> bool:
    """Match as today: only a `*` at the very end is special."""
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern != "" and pattern == path


_GLOB = re.compile(r"\*|\?|\\(.)|\[(\^?)((?:\\.|[^\]\\])+)\]|(.)", re.DOTALL)
_NOTHING = re.compile(r"(?!)")  # what a range such as `[c-a]` matches
_compiled: dict[str, re.Pattern[str]] = {}


def glob_matches(pattern: str, path: str) -> bool:
    """Match as before October 2023: `*` and `?` stop at a slash, `[a-z]` is a class, `\\` escapes."""
    if pattern not in _compiled:
        try:
            _compiled[pattern] = re.compile("".join(map(_translate, _GLOB.finditer(pattern))), re.DOTALL)
        except re.error:
            _compiled[pattern] = _NOTHING
    return _compiled[pattern].fullmatch(path) is not None


def _translate(part: re.Match[str]) -> str:
    text, escaped, negated, members, plain = part[0], part[1], part[2], part[3], part[4]
    if text == "*":
        return "[^/]*"
    if text == "?":
        return "[^/]"
    if members is not None:
        inner = re.sub(r"\\(.)|([\[&~|])", lambda found: "\\" + (found[1] or found[2]), members)
        return f"(?!/)[{negated}{inner}]"
    return re.escape(escaped if escaped is not None else plain)


def check_glob(pattern: str) -> None:
    """Raise BadSettings when an old pattern is malformed: an open class or a lone backslash at its end."""
    rest = re.sub(r"\\.|\[(?:\\.|[^\]\\])+\]", "", pattern, flags=re.DOTALL)
    if "[" in rest or rest.endswith("\\"):
        raise BadSettings(f"policy path {pattern!r} is malformed")


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies of a server and its admin. An identity has at most one policy."""

    admin: str = ""
    by_name: Mapping[str, Policy] = field(default_factory=dict)
    by_identity: Mapping[str, Policy] = field(default_factory=dict)

    @classmethod
    def of(cls, admin: str, policies: Iterable[Policy]) -> "Policies":
        """Check and index policies; raise BadSettings on bad names and on an identity with two policies."""
        by_name: dict[str, Policy] = {}
        by_identity: dict[str, Policy] = {}
        for policy in policies:
            if not valid_name(policy.name):
                raise BadSettings(_BAD.format("policy name", policy.name))
            by_name[policy.name] = policy
            for identity in policy.identities:
                if not valid_name(identity):
                    raise BadSettings(_BAD.format("identity", identity))
                if identity in by_identity:
                    raise BadSettings(
                        f"kes: cannot assign policy '{policy.name}' to '{identity}': identity already has a policy"
                    )
                by_identity[identity] = policy
        return cls(admin, by_name, by_identity)

    def check(self, identity: str, path: str) -> None:
        """Raise Denied, with the reason for the log, unless identity may call path."""
        if identity == self.admin and identity:
            return
        policy = self.by_identity.get(identity)
        if policy is None:
            raise Denied("access denied: identity not found")
        if not policy.allows(path):
            raise Denied(f"access denied: rejected by policy '{policy.name}'")

    def allows(self, identity: str, path: str) -> bool:
        """Say whether identity may call path."""
        try:
            self.check(identity, path)
        except Denied:
            return False
        return True


_BAD = "kes: {} '{}' is empty, too long or contains invalid characters"
