"""Which condition keys a request has values for, and what of a policy hangs on others (s3.md 8.4).

A condition on a key that never has a value is decided once and for all: a Deny may then never apply, an Allow always.
Whoever wrote it meant something else, so such a policy is refused when it is put.
"""

from strongroom.errors import Malformed
from strongroom.s3.domain.policy.document import Policy

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
    """Raise Malformed for a condition key of these families that has no values and widens what is let through."""
    for statement in policy.statements:
        for condition in statement.conditions:
            key = condition.key
            if key in KNOWN or key.startswith(KNOWN_PREFIXES) or not key.startswith(families):
                continue
            if condition.holds({}) == statement.allow:
                raise Malformed(f"no request has a value for the condition key {key!r}")
