"""The decision: a pure function of statements and a question. An explicit Deny wins; silence is no."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from strongroom.s3.domain.policy.document import KMS_ARN, OTHERS, Policy, Statement
from strongroom.s3.domain.policy.patterns import matches, substitute


class Verdict(Enum):
    """What policies say."""

    ALLOW = "allow"
    DENY = "deny"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Question:
    """May this be done?

    action      `s3:GetObject`, `admin:ServerInfo`, `kms:CreateKey`, …
    resource    `bucket`, `bucket/key`, or "" for actions without one (ListAllMyBuckets, admin calls)
    principals  the names that a bucket policy may call the caller by; empty: anonymous
    values      condition key in lower case → values
    """

    action: str
    resource: str = ""
    principals: Sequence[str] = ()
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


def decide(policies: Iterable[Policy], question: Question) -> Verdict:
    """Let all policies of one kind speak: DENY over ALLOW over SILENT."""
    verdict = Verdict.SILENT
    for policy in policies:
        for statement in policy.statements:
            if not _applies(statement, question):
                continue
            if not statement.allow:
                return Verdict.DENY
            verdict = Verdict.ALLOW
    return verdict


def _applies(statement: Statement, question: Question) -> bool:
    return (
        _action(statement, question)
        and _resource(statement, question)
        and _principal(statement, question)
        and all(condition.holds(question.values) for condition in statement.conditions)
    )


def _action(statement: Statement, question: Question) -> bool:
    asked = question.action.lower()
    return any(matches(pattern.lower(), asked) for pattern in statement.actions) != statement.not_actions


def _resource(statement: Statement, question: Question) -> bool:
    if not statement.resources:
        return True  # admin and kms statements may leave it out
    if statement.allow and question.action.startswith(OTHERS) and not _meant(statement, question):
        return False
    if not question.resource:
        # an action without a resource is covered by a statement for everything, or for its own family (admin:, kms:)
        return question.action.startswith(OTHERS) or ("*" in statement.resources) != statement.not_resources
    hit = any(_matches(pattern, question) for pattern in statement.resources)
    return hit != statement.not_resources


def _meant(statement: Statement, question: Question) -> bool:
    """Say whether a statement is about another family than S3's: its resource is `*`, or its actions name the family.

    An Allow for all of `arn:aws:s3:::data/*` but some action of S3 makes nobody an administrator.
    """
    family = question.action.partition(":")[0] + ":"
    named = not statement.not_actions and any(pattern.lower().startswith(family) for pattern in statement.actions)
    return named or statement.everything


def _matches(pattern: str, question: Question) -> bool:
    is_kms = question.action.startswith("kms:")
    if pattern.startswith(KMS_ARN) != is_kms and pattern != "*":
        return False
    resolved = substitute(pattern, question.values)
    if resolved is None:
        return False
    return matches(resolved, KMS_ARN + question.resource if is_kms else question.resource)


def _principal(statement: Statement, question: Question) -> bool:
    if not statement.principals:
        return True
    names = {"*", *question.principals}
    return any(text in names or text.rpartition("/")[2] in names for text in statement.principals) != (
        statement.not_principals
    )


def is_public(policy: Policy) -> bool:
    """Say whether a bucket policy lets anybody in: an Allow for everyone that no condition narrows to known callers.

    Source: AWS, "The meaning of public" (conditions on address, VPC, account or ARN make it not public).
    """
    fixed = {"aws:sourceip", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceaccount", "aws:userid"}
    return any(
        statement.allow
        and "*" in statement.principals
        and not statement.not_principals
        and not any(condition.key in fixed for condition in statement.conditions)
        for statement in policy.statements
    )
