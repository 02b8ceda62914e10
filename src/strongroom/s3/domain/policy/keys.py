"""Which condition keys a request has values for, and what of a policy hangs on others (s3.md 8.4).

A condition on a key that never has a value is decided once and for all: a Deny may then never apply, an Allow always.
Whoever wrote it meant something else, so such a policy is refused when it is put.
"""

from collections.abc import Iterator

from strongroom.errors import Malformed
from strongroom.s3.domain.policy.conditions import NEGATED
from strongroom.s3.domain.policy.document import Policy, Statement
from strongroom.s3.domain.policy.patterns import variables

KNOWN = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:principaltype",
        "aws:referer",
        "aws:securetransport",
        "aws:sourceip",
        "aws:useragent",
        "aws:userid",
        "aws:username",
        "s3:authtype",
        "s3:delimiter",
        "s3:if-match",
        "s3:if-none-match",
        "s3:locationconstraint",
        "s3:max-keys",
        "s3:object-lock-legal-hold",
        "s3:object-lock-mode",
        "s3:object-lock-remaining-retention-days",
        "s3:object-lock-retain-until-date",
        "s3:objectcreationoperation",
        "s3:prefix",
        "s3:requestobjecttagkeys",
        "s3:signatureage",
        "s3:signatureversion",
        "s3:versionid",
    }
)
KNOWN_PREFIXES = ("s3:x-amz-", "s3:existingobjecttag/", "s3:requestobjecttag/")


FAMILIES = ("aws:", "s3:")  # other servers' policies may name what their other logins say (`jwt:`, `ldap:`)


def refuse_unheard(policy: Policy, families: tuple[str, ...] = FAMILIES) -> None:
    """Raise Malformed for a condition key or variable of these families that has no values and widens what is let
    through: of a Deny what never matches, of an Allow what always does.
    """
    for statement in policy.statements:
        for name, matches in _settled(statement):
            if matches == statement.allow and name.startswith(families) and not _heard(name):
                raise Malformed(f"no request has a value for {name!r}")


def _heard(name: str) -> bool:
    return name in KNOWN or name.startswith(KNOWN_PREFIXES)


def _settled(statement: Statement) -> Iterator[tuple[str, bool]]:
    """Yield what names a statement depends on, and whether that part of it matches a request without a value for it."""
    for resource in statement.resources:
        for name in variables(resource):
            yield name, statement.not_resources
    for condition in statement.conditions:
        yield condition.key, condition.holds({})
        for text in condition.wanted:
            for name in variables(text):
                yield name, condition.operator in NEGATED
