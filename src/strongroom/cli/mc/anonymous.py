"""Bucket policies that let everybody in: what mc's four permissions mean, as pure functions (mc.md 9.15)."""

from collections.abc import Iterable, Mapping

Statement = dict[str, object]
PERMISSIONS = ("private", "public", "download", "upload")
BOTH = ("s3:GetBucketLocation",)
READ_BUCKET, WRITE_BUCKET = ("s3:ListBucket",), ("s3:ListBucketMultipartUploads",)
READ_OBJECT = ("s3:GetObject",)
WRITE_OBJECT = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject")
ARN = "arn:aws:s3:::"
_OLD_NAMES = {"none": "private", "readonly": "download", "writeonly": "upload", "readwrite": "public"}
LISTED = {"download": "readonly", "upload": "writeonly", "public": "readwrite"}


def permission_name(word: str) -> str:
    """Return a permission by its present name, "" for what is none."""
    word = _OLD_NAMES.get(word, word)
    return word if word in PERMISSIONS else ""


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(each) for each in value] if isinstance(value, Iterable) else []


def statements(policy: Mapping[str, object] | None) -> list[Statement]:
    """Return the statements of a policy document."""
    found = policy.get("Statement", []) if policy else []
    found = [found] if isinstance(found, dict) else found
    return [dict(each) for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def is_public(statement: Mapping[str, object]) -> bool:
    """Tell whether a statement allows everybody."""
    who = statement.get("Principal")
    who = who.get("AWS") if isinstance(who, dict) else who
    return statement.get("Effect") == "Allow" and "*" in _texts(who)


def _resource(bucket: str, prefix: str) -> str:
    return f"{ARN}{bucket}/{prefix}*"


def _allowed(policy: Mapping[str, object] | None, resource: str) -> set[str]:
    """Return what everybody may do with exactly this resource."""
    return {action for each in statements(policy) if is_public(each) and resource in _texts(each.get("Resource"))
            for action in _texts(each.get("Action"))}  # fmt: skip


def _conditions(policy: Mapping[str, object] | None, bucket: str) -> tuple[bool, set[str]]:
    """Return whether everybody may list the whole bucket, and the prefixes that may be listed."""
    whole, prefixes = False, set[str]()
    for each in statements(policy):
        if is_public(each) and f"{ARN}{bucket}" in _texts(each.get("Resource")):
            if "s3:ListBucket" not in _texts(each.get("Action")):
                continue
            condition = each.get("Condition")
            equal = condition.get("StringEquals") if isinstance(condition, dict) else None
            if isinstance(equal, dict):
                prefixes.update(_texts(equal.get("s3:prefix")))
            else:
                whole = True
    return whole, prefixes


def permission_of(policy: Mapping[str, object] | None, bucket: str, prefix: str) -> str:
    """Return which permission a policy gives for a prefix; `custom` for one that is none of ours."""
    if not statements(policy):
        return "private"
    objects = _allowed(policy, _resource(bucket, prefix))
    read, write = set(READ_OBJECT) <= objects, set(WRITE_OBJECT) <= objects
    whole, prefixes = _conditions(policy, bucket)
    read = read and (whole or prefix in prefixes)
    if read and write:
        return "public"
    return "download" if read else "upload" if write else "custom"


def permissions(policy: Mapping[str, object] | None, bucket: str) -> dict[str, str]:
    """Return the permission of every prefix that a policy names: `BUCKET/PREFIX*` to readonly, writeonly, readwrite."""
    found: dict[str, str] = {}
    for each in statements(policy):
        for resource in _texts(each.get("Resource")):
            start = f"{ARN}{bucket}/"
            if resource.startswith(start) and resource.endswith("*"):
                prefix = resource[len(start) : -1]
                name = permission_of(policy, bucket, prefix)
                found[f"{bucket}/{prefix}*"] = LISTED.get(name, name)
    return dict(sorted(found.items()))


def _allow(actions: Iterable[str], resource: str, condition: object = None) -> Statement:
    made: Statement = {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": list(actions), "Resource": [resource]}
    if condition:
        made["Condition"] = condition
    return made


def with_permission(policy: Mapping[str, object] | None, bucket: str, prefix: str, name: str) -> dict[str, object]:
    """Return the policy with a prefix's permission changed; statements of others stay.

    An empty Statement list means that the policy should be removed.
    """
    others = permissions(policy, bucket)
    others.pop(f"{bucket}/{prefix}*", None)
    ours = {_resource(bucket, key[len(bucket) + 1 : -1]) for key, value in others.items() if value in LISTED.values()}
    ours.add(_resource(bucket, prefix))
    kept = [each for each in statements(policy)
            if not is_public(each) or not _made_by_us(each, bucket, ours)]  # fmt: skip
    wanted = {key[len(bucket) + 1 : -1]: value for key, value in others.items() if value in LISTED.values()}
    if name != "private":
        wanted[prefix] = LISTED[name]
    return {"Version": "2012-10-17", "Statement": [*kept, *_statements(bucket, wanted)]}


def _made_by_us(statement: Mapping[str, object], bucket: str, ours: set[str]) -> bool:
    """Tell whether a public statement is one of those that _statements writes (and will write again)."""
    resources = set(_texts(statement.get("Resource")))
    actions = set(_texts(statement.get("Action")))
    if resources == {f"{ARN}{bucket}"}:
        return actions <= {*BOTH, *READ_BUCKET, *WRITE_BUCKET}
    return resources <= ours and actions <= {*READ_OBJECT, *WRITE_OBJECT}


def _statements(bucket: str, wanted: Mapping[str, str]) -> list[Statement]:
    found: list[Statement] = []
    readable = sorted(prefix for prefix, value in wanted.items() if value in {"readonly", "readwrite"})
    writable = any(value in {"writeonly", "readwrite"} for value in wanted.values())
    if wanted:
        actions = [*BOTH]
        if "" in readable:
            actions += READ_BUCKET
        if writable:
            actions += WRITE_BUCKET
        found.append(_allow(actions, f"{ARN}{bucket}"))
        limited = [prefix for prefix in readable if prefix]
        if limited and "" not in readable:
            found.append(_allow(READ_BUCKET, f"{ARN}{bucket}", {"StringEquals": {"s3:prefix": limited}}))
    rights = {"readonly": READ_OBJECT, "writeonly": WRITE_OBJECT, "readwrite": (*READ_OBJECT, *WRITE_OBJECT)}
    found += [_allow(rights[value], _resource(bucket, prefix)) for prefix, value in sorted(wanted.items())]
    return found
