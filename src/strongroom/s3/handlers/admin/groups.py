"""Groups: members, status, listing (mc.md 10.5)."""

import msgspec

from strongroom.messages import Response
from strongroom.s3.domain.iam.directory import Directory, NoSuchGroup, NoSuchUser
from strongroom.s3.domain.iam.records import DISABLED, ENABLED, Group
from strongroom.s3.handlers.admin.desk import DONE, Errand
from strongroom.s3.handlers.admin.users import STATUSES
from strongroom.s3.handlers.iam_store import with_status, without_members
from strongroom.s3.wire.admin import names_of, parse_object, refused, render_json, text_of


def find_group(directory: Directory, name: str) -> Group:
    """Return a group's entry; raise NoSuchGroup."""
    group = directory.groups.get(name)
    if group is None:
        raise NoSuchGroup(name)
    return group


async def update_members(errand: Errand) -> Response:
    """Add members (making the group when it is new), or remove members or an empty group: each has its own right."""
    record = parse_object(errand.content)
    name, members = text_of(record, "group"), names_of(record, "members")
    if not name or "/" in name:
        raise refused("XMinioAdminInvalidArgument")
    if record.get("isRemove") is True:
        errand.authorise("admin:RemoveUserFromGroup")
        return await _remove(errand, name, members)
    errand.authorise("admin:AddUserToGroup")
    if missing := [member for member in members if member not in errand.directory.users]:
        raise NoSuchUser(missing[0])
    group = errand.directory.groups.get(name, Group())
    both = tuple(sorted({*group.members, *members}))
    group = msgspec.structs.replace(group, members=both)
    status = text_of(record, "groupStatus")
    await errand.desk.iam.save("groups", name, with_status(group, STATUSES[status]) if status in STATUSES else group)
    return DONE


async def _remove(errand: Errand, name: str, members: list[str]) -> Response:
    group = find_group(errand.directory, name)
    if members:
        await errand.desk.iam.save("groups", name, without_members(group, members))
    elif group.members:
        raise refused("XMinioAdminGroupNotEmpty")
    else:
        await errand.desk.iam.remove("groups", name)
    return DONE


async def list_groups(errand: Errand) -> Response:
    """Return the names of all groups."""
    return render_json(sorted(errand.directory.groups))


async def group_info(errand: Errand) -> Response:
    """Return one group."""
    name = errand.argument("group")
    group = find_group(errand.directory, name)
    return render_json(
        {
            "name": name,
            "status": ENABLED if group.enabled else DISABLED,
            "members": list(group.members),
            "policy": ",".join(group.policies),
            "updatedAt": group.updated,
        }
    )


async def set_group_status(errand: Errand) -> Response:
    """Enable or disable a group."""
    name = errand.argument("group")
    status = errand.argument("status")
    if status not in STATUSES:
        raise refused("XMinioAdminInvalidArgument")
    await errand.desk.iam.save("groups", name, with_status(find_group(errand.directory, name), STATUSES[status]))
    return DONE
