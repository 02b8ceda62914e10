"""Named policies and whom they are attached to (mc.md 10.5; kms resources: sse.md 12.2)."""

import json
from typing import Any

from strongroom.errors import Malformed
from strongroom.messages import Response
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.iam.records import Group, NamedPolicy, User
from strongroom.s3.domain.policy.canned import CANNED
from strongroom.s3.domain.policy.document import KMS_ARN, parse_identity_policy
from strongroom.s3.domain.policy.keys import refuse_unheard
from strongroom.s3.handlers.admin.desk import DONE, Errand, opt
from strongroom.s3.handlers.admin.groups import find_group
from strongroom.s3.handlers.admin.users import find_user
from strongroom.s3.handlers.iam_store import with_policies
from strongroom.s3.wire.admin import names_of, parse_object, refused, render_json, text_of, to_json


def check_document(text: bytes) -> str:
    """Return a policy's text; raise the refusal of one that cannot be read, or whose kms resources are not kms'."""
    try:
        policy = parse_identity_policy(text)
        refuse_unheard(policy)
    except Malformed as error:
        raise refused("XMinioMalformedIAMPolicy", str(error)) from error
    for statement in policy.statements:
        if all(action.startswith("kms:") for action in statement.actions):
            _check_kms(statement.resources)
    return text.decode()


def _check_kms(resources: tuple[str, ...]) -> None:
    for resource in resources:
        if not resource.startswith(KMS_ARN):
            raise refused("XMinioMalformedIAMPolicy", f"resource 'arn:aws:s3:::{resource}' type is not KMS")
        if any(character in resource.removeprefix(KMS_ARN) for character in "/\\."):
            raise refused("XMinioMalformedIAMPolicy", "invalid resource")


async def add_policy(errand: Errand) -> Response:
    """Make or replace a policy."""
    name = errand.argument("name")
    if "/" in name or "," in name or not name.isprintable():
        raise refused("XMinioAdminInvalidArgument")
    document = check_document(errand.content)
    old = errand.directory.policies.get(name)
    created = old.created if old else errand.desk.iam.time()
    await errand.desk.iam.save("policies", name, NamedPolicy(document=document, created=created))
    return DONE


async def list_policies(errand: Errand) -> Response:
    """Return all policies with their documents."""
    documents = errand.directory.documents()
    return render_json({name: json.loads(documents[name]) for name in sorted(documents)})


async def policy_info(errand: Errand) -> Response:
    """Return one policy: the document alone, or with v=2 its name and times as well."""
    name = errand.argument("name")
    document = json.loads(errand.directory.document(name))
    if errand.query.get("v") != "2":
        return render_json(document)
    entry = errand.directory.policies.get(name)
    times = opt(CreateDate=entry.created, UpdateDate=entry.updated) if entry else {}
    text = json.dumps({"PolicyName": name, "Policy": document, **times}, indent=1)
    return Response(200, [("Content-Type", "application/json")], text.encode())


async def remove_policy(errand: Errand) -> Response:
    """Remove a policy that is attached to nobody; one that is not there is no error (recorded)."""
    name = errand.argument("name")
    holders: list[User | Group] = [*errand.directory.users.values(), *errand.directory.groups.values()]
    if name in CANNED and name not in errand.directory.policies:
        raise refused("XMinioIAMActionNotAllowed", f"{name} is built in and cannot be removed")
    if any(name in holder.policies for holder in holders):
        raise refused("XMinioIAMPolicyInUse")
    await errand.desk.iam.remove("policies", name)
    return DONE


async def attach(errand: Errand) -> Response:
    """Attach policies to a user or group."""
    return await _associate(errand, attaching=True)


async def detach(errand: Errand) -> Response:
    """Detach policies from a user or group."""
    return await _associate(errand, attaching=False)


async def _associate(errand: Errand, *, attaching: bool) -> Response:
    record = parse_object(await errand.opened())
    names, user, group = names_of(record, "policies"), text_of(record, "user"), text_of(record, "group")
    if not names or bool(user) == bool(group):
        raise refused("XMinioAdminInvalidArgument")
    for name in names if attaching else ():
        errand.directory.document(name)
    kind, holder = ("users", user) if user else ("groups", group)
    entry, changed = with_policies(_holder(errand.directory, kind, holder), names, attaching)
    if not changed:
        raise refused("XMinioAdminPolicyChangeAlreadyApplied")
    await errand.desk.iam.save(kind, holder, entry)
    member = "policiesAttached" if attaching else "policiesDetached"
    return await errand.sealed(to_json({member: changed, "updatedAt": errand.desk.iam.time()}))


def _holder(directory: Directory, kind: str, name: str) -> User | Group:
    return find_user(directory, name) if kind == "users" else find_group(directory, name)


async def set_policy(errand: Errand) -> Response:
    """Replace all policies of a user or group: the older call."""
    names = [name for name in errand.query.get("policyName", "").split(",") if name]
    for name in names:
        errand.directory.document(name)
    kind = "groups" if errand.query.get("isGroup") == "true" else "users"
    holder = errand.argument("userOrGroup")
    before = _holder(errand.directory, kind, holder)
    bare, _ = with_policies(before, list(before.policies), attach=False)
    entry, _ = with_policies(bare, names, attach=True)
    await errand.desk.iam.save(kind, holder, entry)
    return DONE


async def entities(errand: Errand) -> Response:
    """Return who has the policies policy= (all of them, when nothing is asked for), and what user= and group= have."""
    pairs = {name: errand.values(name) for name in ("user", "group", "policy")}
    directory = errand.directory
    users, groups = pairs["user"], pairs["group"]
    named = pairs["policy"] if any(pairs.values()) else sorted(directory.documents())
    return await errand.sealed(
        to_json(
            opt(
                timestamp=errand.desk.iam.time(),
                userMappings=[_of_user(directory, name) for name in users if name in directory.users],
                groupMappings=[
                    {"group": name, "policies": list(directory.groups[name].policies)}
                    for name in groups
                    if name in directory.groups and directory.groups[name].policies
                ],
                policyMappings=[found for name in named if (found := _of_policy(directory, name))],
            )
        )
    )


def _of_user(directory: Directory, name: str) -> dict[str, Any]:
    groups = [
        {"group": group, "policies": list(directory.groups[group].policies)} for group in directory.groups_of(name)
    ]
    return {"user": name, "policies": list(directory.users[name].policies)} | opt(memberOfMappings=groups)


def _of_policy(directory: Directory, name: str) -> dict[str, Any] | None:
    users = sorted(user for user, record in directory.users.items() if name in record.policies)
    groups = sorted(group for group, record in directory.groups.items() if name in record.policies)
    if not users and not groups:
        return None
    return {"policy": name, "users": users or None, "groups": groups or None}
