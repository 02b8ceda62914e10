"""mc admin user, policy and group (mc.md 10.5)."""

import json
from pathlib import Path

from strongroom.cli.mc.admin_calls import Desk, mapping, texts
from strongroom.cli.mc.console import dumps
from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.sdk.s3_errors import S3Error

ALREADY = "XMinioAdminPolicyChangeAlreadyApplied"
NO_POLICY = {"PolicyName": "", "Policy": None}


# ---- users ----


def user_add(shell: Shell, line: Line) -> None:
    """mc admin user add ALIAS ACCESSKEY SECRETKEY; what is missing is asked for."""
    desk = Desk(shell, line, "Unable to add new user")
    access = line.args[1] if len(line.args) > 1 else shell.ask("Enter Access Key: ")
    secret = line.args[2] if len(line.args) > 2 else shell.ask("Enter Secret Key: ", secret=True)
    desk.call("PUT", "add-user", {"accessKey": access}, desk.seal({"secretKey": secret, "status": "enabled"}))
    record = {"status": "success", "accessKey": access, "secretKey": secret, "userStatus": "enabled"}
    shell.console.say(record, f"Added user `{access}` successfully.", "ok")


def user_list(shell: Shell, line: Line) -> None:
    """mc admin user list ALIAS."""
    desk = Desk(shell, line, "Unable to list user")
    for name, each in sorted(mapping(desk.sealed("GET", "list-users")).items()):
        user = mapping(each)
        policy, state = str(user.get("policyName", "")), str(user.get("status", ""))
        record: dict[str, object] = {"status": "success", "accessKey": name}
        if policy:
            record["policyName"] = policy
        record["userStatus"] = state
        paint = shell.console.paint
        text = "  ".join((paint(f"{state:<9}", "cyan"), paint(f"{name:<20}", "blue"), paint(f"{policy:<20}", "yellow")))
        shell.console.say(record, text)


def user_info(shell: Shell, line: Line) -> None:
    """mc admin user info ALIAS ACCESSKEY."""
    name = line.args[1]
    desk = Desk(shell, line, "Unable to get user info")
    user = mapping(desk.json("GET", "user-info", {"accessKey": name}))
    policy, groups = str(user.get("policyName", "")), texts(user.get("memberOf"))
    record: dict[str, object] = {"status": "success", "accessKey": name}
    if policy:
        record["policyName"] = policy
    record["userStatus"] = user.get("status", "")
    if groups:
        record["memberOf"] = [{"name": group, "policies": []} for group in groups]
    text = f"AccessKey: {name}\nStatus: {user.get('status', '')}\nPolicyName: {policy}\nMemberOf: [{' '.join(groups)}]"
    shell.console.say(record, text)


def _user_status(shell: Shell, line: Line, status: str, done: str) -> None:
    name = line.args[1]
    desk = Desk(shell, line, f"Unable to {done.lower()[:-1]} user")
    desk.call("PUT", "set-user-status", {"accessKey": name, "status": status}, b"")
    shell.console.say({"status": "success", "accessKey": name}, f"{done} user `{name}` successfully.", "ok")


def user_enable(shell: Shell, line: Line) -> None:
    """mc admin user enable ALIAS ACCESSKEY."""
    _user_status(shell, line, "enabled", "Enabled")


def user_disable(shell: Shell, line: Line) -> None:
    """mc admin user disable ALIAS ACCESSKEY."""
    _user_status(shell, line, "disabled", "Disabled")


def user_remove(shell: Shell, line: Line) -> None:
    """mc admin user remove ALIAS ACCESSKEY."""
    name = line.args[1]
    desk = Desk(shell, line, f"Unable to remove {name}")
    desk.call("DELETE", "remove-user", {"accessKey": name})
    shell.console.say({"status": "success", "accessKey": name}, f"Removed user `{name}` successfully.", "ok")


# ---- policies ----


def policy_create(shell: Shell, line: Line) -> None:
    """mc admin policy create ALIAS NAME FILE."""
    name, file = line.args[1:]
    failed = "Unable to create new policy"
    desk = Desk(shell, line, failed)
    try:
        text = Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Fatal(f"Unable to read `{file}`.", error) from error
    try:
        document = json.loads(text)
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    except ValueError:
        body = text.strip().encode()  # the server says what is wrong with it
    desk.call("PUT", "add-canned-policy", {"name": name}, body)
    _policy(shell, name, f"Created policy `{name}` successfully.")


def _policy(shell: Shell, name: str, text: str, info: object = None) -> None:
    record = {"status": "success", "policy": name, "policyInfo": info or NO_POLICY, "isGroup": False}
    shell.console.say(record, text, "" if info else "ok")


def policy_list(shell: Shell, line: Line) -> None:
    """mc admin policy list ALIAS."""
    desk = Desk(shell, line, "Unable to list policies")
    for name in sorted(mapping(desk.json("GET", "list-canned-policies"))):
        if len(line.args) < 2 or name == line.args[1]:
            _policy(shell, name, name)


def policy_info(shell: Shell, line: Line) -> None:
    """mc admin policy info ALIAS NAME."""
    name, file = line.args[1], line.text("policy-file")
    desk = Desk(shell, line, "Unable to fetch policy")
    found = mapping(desk.json("GET", "info-canned-policy", {"name": name, "v": "2"}))
    if file:
        Path(file).write_text(json.dumps(found.get("Policy"), indent=1) + "\n", "utf-8")
    _policy(shell, name, dumps(found, 1 if shell.console.terminal else None), found)


def policy_remove(shell: Shell, line: Line) -> None:
    """mc admin policy remove ALIAS NAME."""
    name = line.args[1]
    desk = Desk(shell, line, "Unable to remove policy")
    desk.call("DELETE", "remove-canned-policy", {"name": name})
    _policy(shell, name, f"Removed policy `{name}` successfully.")


def _associate(shell: Shell, desk: Desk, verb: str, names: list[str], user: str, group: str) -> None:
    """Attach or detach; what is so already counts as done."""
    document = {"policies": names, **({"user": user} if user else {"group": group})}
    try:
        desk.unseal(desk.admin.call("POST", f"idp/builtin/policy/{verb}", None, desk.seal(document)))
    except Error as error:
        if isinstance(error, Fatal):
            raise
        if not (isinstance(error, S3Error) and error.code == ALREADY):
            raise Fatal(desk.failed, error) from error
    _associated(shell, verb, names, user, group)


def _associated(shell: Shell, verb: str, names: list[str], user: str, group: str) -> None:
    done, way = ("Attached", "To") if verb == "attach" else ("Detached", "From")
    member = "policiesAttached" if verb == "attach" else "policiesDetached"
    who = ("User", user) if user else ("Group", group)
    record = {"status": "success", member: names, who[0].lower(): who[1]}
    shell.console.say(record, f"{done} Policies: [{' '.join(names)}]\n{way} {who[0]}: {who[1]}", "ok")


def _attach_or_detach(shell: Shell, line: Line, verb: str) -> None:
    user, group = line.text("user"), line.text("group")
    if bool(user) == bool(group):
        raise Fatal("Exactly one of --user and --group is required.", INVALID)
    desk = Desk(shell, line, "Unable to make user/group policy association")
    _associate(shell, desk, verb, list(line.args[1:]), user, group)


def attach(shell: Shell, line: Line) -> None:
    """mc admin policy attach ALIAS NAME... --user U|--group G."""
    _attach_or_detach(shell, line, "attach")


def detach(shell: Shell, line: Line) -> None:
    """mc admin policy detach ALIAS NAME... --user U|--group G."""
    _attach_or_detach(shell, line, "detach")


def _whom(line: Line) -> tuple[str, str]:
    """Return the user and the group, one of them "", of `user=NAME` or `group=NAME`."""
    kind, equals, name = line.args[2].partition("=")
    if not equals or kind not in {"user", "group"}:
        raise Fatal(f"`{line.args[2]}` is not of the form user=NAME or group=NAME.", INVALID)
    return (name, "") if kind == "user" else ("", name)


def policy_set(shell: Shell, line: Line) -> None:
    """mc admin policy set ALIAS NAME user=U|group=G (the form before 2023): instead of what they had."""
    desk = Desk(shell, line, "Unable to make user/group policy association")
    user, group = _whom(line)
    query = {"policyName": line.args[1], "userOrGroup": user or group, "isGroup": "true" if group else "false"}
    desk.call("PUT", "set-user-or-group-policy", query, b"")
    _associated(shell, "attach", line.args[1].split(","), user, group)


def policy_unset(shell: Shell, line: Line) -> None:
    """mc admin policy unset ALIAS NAME user=U|group=G."""
    desk = Desk(shell, line, "Unable to make user/group policy association")
    _associate(shell, desk, "detach", line.args[1].split(","), *_whom(line))


def entities(shell: Shell, line: Line) -> None:
    """mc admin policy entities ALIAS."""
    desk = Desk(shell, line, "Unable to fetch policy entities")
    wanted = [(kind, name) for kind in ("user", "group", "policy") for name in line.many(kind)]
    try:
        path = "idp/builtin/policy-entities"
        if wanted:
            answer = desk.admin.client.caller.send("GET", query=wanted, region="", path=f"/minio/admin/v3/{path}")
            data = answer.read()
        else:
            data = desk.admin.call("GET", path)
    except Error as error:
        raise Fatal(desk.failed, error) from error
    found = mapping(json.loads(desk.unseal(data) or b"{}"))
    shell.console.say({"status": "success", "result": found}, "\n".join(_entity_lines(found)))


def _entity_lines(found: dict[str, object]) -> list[str]:
    lines = [f"Query time: {found.get('timestamp', '')}"]
    groups = (("policyMappings", "Policy", "policy", (("User", "users"), ("Group", "groups"))),
              ("userMappings", "User", "user", (("Policy", "policies"),)),
              ("groupMappings", "Group", "group", (("Policy", "policies"),)))  # fmt: skip
    for member, title, name, kinds in groups:
        rows = found.get(member)
        if not isinstance(rows, list) or not rows:
            continue
        lines.append(f"{title} -> {'Entity' if title == 'Policy' else 'Policy'} Mappings:")
        for row in map(mapping, rows):
            lines.append(f"  {title}: {row.get(name, '')}")
            for kind, key in kinds:
                values = texts(row.get(key))
                lines += [f"    {kind} Mappings:", *(f"      {value}" for value in values)] if values else []
    return lines


# ---- groups ----


def _members(desk: Desk, group: str, users: list[str], *, remove: bool) -> None:
    document = {"group": group, "members": users, "groupStatus": "", "isRemove": remove}
    desk.call("PUT", "update-group-members", None, json.dumps(document, separators=(",", ":")).encode())


def _group(shell: Shell, group: str, text: str, **more: object) -> None:
    shell.console.say({"status": "success", "groupName": group, **more}, text, "ok")


def group_add(shell: Shell, line: Line) -> None:
    """mc admin group add ALIAS GROUP USER..."""
    _, group, *users = line.args
    _members(Desk(shell, line, "Unable to add new group"), group, users, remove=False)
    _group(shell, group, f"Added members `{','.join(users)}` to group `{group}` successfully.", members=users)


def group_remove(shell: Shell, line: Line) -> None:
    """mc admin group remove ALIAS GROUP [USER...]: without users the group itself."""
    _, group, *users = line.args
    _members(Desk(shell, line, "Could not perform remove operation"), group, users, remove=True)
    if users:
        names = ",".join(users)
        _group(shell, group, f"Removed members {{{names}}} from group {group} successfully.", members=users)
    else:
        _group(shell, group, f"Removed group {group} successfully.")


def group_info(shell: Shell, line: Line) -> None:
    """mc admin group info ALIAS GROUP."""
    group = line.args[1]
    desk = Desk(shell, line, "Unable to fetch group info")
    found = mapping(desk.json("GET", "group", {"group": group}))
    members, policy, state = texts(found.get("members")), str(found.get("policy", "")), str(found.get("status", ""))
    more: dict[str, object] = {"members": members, "groupStatus": state}
    if policy:
        more["groupPolicy"] = policy
    lines = [f"Group: {group}", f"Status: {state}", f"Policy: {policy}", f"Members: {','.join(members)}"]
    shell.console.say({"status": "success", "groupName": group, **more}, "\n".join(lines))


def group_list(shell: Shell, line: Line) -> None:
    """mc admin group list ALIAS."""
    names = texts(Desk(shell, line, "Unable to list groups").json("GET", "groups"))
    shell.console.say({"status": "success", "groups": names}, "\n".join(names))


def _group_status(shell: Shell, line: Line, status: str, done: str) -> None:
    group = line.args[1]
    desk = Desk(shell, line, f"Unable to {done.lower()[:-1]} group")
    desk.call("PUT", "set-group-status", {"group": group, "status": status}, b"")
    _group(shell, group, f"{done} group `{group}` successfully.", groupStatus=status)


def group_enable(shell: Shell, line: Line) -> None:
    """mc admin group enable ALIAS GROUP."""
    _group_status(shell, line, "enabled", "Enabled")


def group_disable(shell: Shell, line: Line) -> None:
    """mc admin group disable ALIAS GROUP."""
    _group_status(shell, line, "disabled", "Disabled")
