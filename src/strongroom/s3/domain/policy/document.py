"""Policy documents: JSON text to frozen statements. Bucket policies name principals, identity policies do not."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.errors import Malformed, TooLarge
from strongroom.s3.domain.policy.conditions import Condition
from strongroom.s3.domain.policy.conditions import parse as parse_conditions

MAX_BYTES = 20 * 1024  # of a document (AWS: bucket policies)
VERSIONS = ("2012-10-17", "2008-10-17")
ARN = "arn:aws:s3:::"
KMS_ARN = "arn:minio:kms:::"
OTHERS = ("admin:", "kms:", "sts:")  # families of actions that are not S3's
ACTION_PREFIXES = ("s3:", "s3express:", "admin:", "kms:", "sts:")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. An empty `principals` belongs to an identity policy; `not_*` turn their list around.

    everything  its resource is `*`: that of any service, where `arn:aws:s3:::*` is buckets and objects alone
    """

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    principals: tuple[str, ...] = ()
    not_actions: bool = False
    not_resources: bool = False
    not_principals: bool = False
    sid: str = ""
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed document."""

    statements: tuple[Statement, ...]
    version: str = "2012-10-17"


def parse_identity_policy(text: bytes) -> Policy:
    """Read a policy that hangs on users, groups or sessions; raise Malformed or TooLarge."""
    policy = _parse(text)
    for statement in policy.statements:
        if statement.principals:
            raise Malformed("Principal is not allowed in an identity policy")
        if not statement.resources and not _without_resource(statement):
            raise Malformed("Resource is missing")
    return policy


def _without_resource(statement: Statement) -> bool:
    """Say whether a statement's actions are all of families that may leave out the resource."""
    return not statement.not_actions and all(action.lower().startswith(OTHERS) for action in statement.actions)


def parse_bucket_policy(text: bytes, bucket: str) -> Policy:
    """Read a bucket's policy; raise Malformed (also for a resource outside the bucket) or TooLarge."""
    policy = _parse(text)
    if not policy.statements:
        raise Malformed("a bucket policy needs at least one statement")
    for statement in policy.statements:
        if not statement.principals:
            raise Malformed("Principal is missing")
        if statement.not_principals and statement.allow:
            raise Malformed("NotPrincipal must not be used with Allow")
        if not statement.resources:
            raise Malformed("Resource is missing")
        for resource in statement.resources:
            if not (resource == bucket or resource.startswith(f"{bucket}/")):
                raise Malformed("Policy has invalid resource")
    return policy


def _parse(text: bytes) -> Policy:
    if len(text) > MAX_BYTES:
        raise TooLarge(f"a policy may have {MAX_BYTES} bytes")
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the policy is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Malformed("the policy must be an object")
    version = document.get("Version", "2008-10-17" if "Statement" in document else None)
    if version not in VERSIONS:
        raise Malformed(f"invalid Version {version!r}; use 2012-10-17")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list):
        raise Malformed("Statement is missing")
    return Policy(tuple(map(_statement, statements)), version)


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a member of the policy stands twice")
    return found


_MEMBERS = {
    "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition",
}  # fmt: skip


def _statement(value: object) -> Statement:
    if not isinstance(value, dict):
        raise Malformed("a statement must be an object")
    if unknown := set(value) - _MEMBERS:
        raise Malformed(f"unknown member {min(unknown)!r} in a statement")
    if value.get("Effect") not in ("Allow", "Deny"):
        raise Malformed("Effect must be Allow or Deny")
    actions, not_actions = _either(value, "Action")
    resources, not_resources = _either(value, "Resource")
    if not actions:
        raise Malformed("Action is missing")
    principals = (
        tuple(_principals(value["NotPrincipal" if "NotPrincipal" in value else "Principal"]))
        if ("Principal" in value or "NotPrincipal" in value)
        else ()
    )
    return Statement(
        allow=value["Effect"] == "Allow",
        actions=tuple(map(_action, actions)),
        resources=tuple(map(_resource, resources)),
        conditions=parse_conditions(value["Condition"]) if "Condition" in value else (),
        principals=principals,
        not_actions=not_actions,
        not_resources=not_resources,
        not_principals="NotPrincipal" in value,
        sid=str(value.get("Sid", "")),
        everything="*" in resources and not not_resources,
    )


def _either(value: dict[str, object], name: str) -> tuple[list[str], bool]:
    if name in value and f"Not{name}" in value:
        raise Malformed(f"{name} and Not{name} together")
    turned = f"Not{name}" in value
    return _strings(value.get(f"Not{name}" if turned else name, []), name), turned


def _strings(value: object, name: str) -> list[str]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in found):
        raise Malformed(f"{name} must be a string or a list of strings")
    return [str(text) for text in found]


def _action(text: str) -> str:
    if text != "*" and not text.lower().startswith(ACTION_PREFIXES):
        raise Malformed(f"invalid action {text!r}")
    return text


def _resource(text: str) -> str:
    """Return a resource without its ARN prefix; a KMS resource keeps it, so that the two never meet."""
    if text == "*" or text.startswith(KMS_ARN):
        return text
    if not text.startswith(ARN) or len(text) == len(ARN):
        raise Malformed(f"invalid resource {text!r}")
    return text[len(ARN) :]


def _principals(value: object) -> list[str]:
    if value == "*":
        return ["*"]
    if not isinstance(value, dict) or not value:
        raise Malformed('Principal must be "*" or an object')
    if unknown := set(value) - {"AWS", "CanonicalUser"}:
        raise Malformed(f"principal kind {min(unknown)!r} is not supported")
    found = [text for part in value.values() for text in _strings(part, "Principal")]
    if not found:
        raise Malformed("Principal names nobody")
    if any(text != "*" and ("*" in text or "?" in text) for text in found):
        raise Malformed("a principal is a name or *, not a pattern")
    return found
