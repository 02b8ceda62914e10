"""mc admin accesskey and mc admin user svcacct: access keys beside a user's own (mc.md 10.5)."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.console import dumps
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import parse_duration, rfc3339
from strongroom.cli.mc.shell import Shell


def _policy(line: Line) -> object:
    file = line.text("policy")
    if not file:
        return None
    try:
        return json.loads(Path(file).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Fatal(f"Unable to read the policy in `{file}`.", error) from error


def _expiry(line: Line) -> str:
    date, term = line.text("expiry"), line.text("expiry-duration")
    try:
        if term:
            return rfc3339(datetime.now(UTC) + timedelta(seconds=parse_duration(term)))
        return rfc3339(datetime.fromisoformat(date.replace("Z", "+00:00"))) if date else ""
    except ValueError as error:
        raise Fatal("Unable to parse the expiry.", str(error)) from error


def _until(account: dict[str, object]) -> object:
    """Return when an access key expires; servers write the epoch's start for never."""
    found = account.get("expiration")
    return found if found and not str(found).startswith("1970-01-01") else "no-expiry"


def _make(shell: Shell, line: Line, user: str) -> None:
    desk = Desk(shell, line, "Unable to add service account.")
    document: dict[str, object] = {"targetUser": user, "accessKey": line.text("access-key"),
                                   "secretKey": line.text("secret-key"), "name": line.text("name"),
                                   "description": line.text("description"), "policy": _policy(line),
                                   "expiration": _expiry(line)}  # fmt: skip
    answer = mapping(desk.sealed("PUT", "add-service-account", None, {k: v for k, v in document.items() if v}))
    made = mapping(answer.get("credentials"))
    access, secret, expiry = made.get("accessKey", ""), made.get("secretKey", ""), _until(made)
    record = {"status": "success", "accessKey": access, "secretKey": secret, "expiration": expiry}
    shell.console.say(record, f"Access Key: {access}\nSecret Key: {secret}\nExpiration: {expiry}")


def create(shell: Shell, line: Line) -> None:
    """mc admin accesskey create ALIAS [USER]."""
    _make(shell, line, line.args[1] if len(line.args) > 1 else "")


def add_for(shell: Shell, line: Line) -> None:
    """mc admin user svcacct add ALIAS USER."""
    _make(shell, line, line.args[1])


def list_(shell: Shell, line: Line) -> None:
    """mc admin accesskey ls ALIAS [USER]."""
    desk = Desk(shell, line, "Unable to list access keys.")
    query = {"user": line.args[1]} if len(line.args) > 1 else {}
    found = mapping(desk.sealed("GET", "list-service-accounts", query))
    accounts = found.get("accounts")
    for each in map(mapping, accounts if isinstance(accounts, list) else []):
        expiry = _until(each)
        record = {"status": "success", "accessKey": each.get("accessKey", ""), "expiration": expiry}
        shell.console.say(record, f"{each.get('accessKey', ''):<20} | {expiry}")


def remove(shell: Shell, line: Line) -> None:
    """mc admin accesskey rm ALIAS KEY."""
    key = line.args[1]
    desk = Desk(shell, line, f"Unable to remove the access key `{key}`.")
    desk.call("DELETE", "delete-service-account", {"accessKey": key})
    text = f"Access key `{key}` removed successfully."
    shell.console.say({"status": "success", "accessKey": key}, text, "ok")


def info(shell: Shell, line: Line) -> None:
    """mc admin accesskey info ALIAS KEY [--policy]."""
    key = line.args[1]
    desk = Desk(shell, line, f"Unable to get information of the access key `{key}`.")
    found = mapping(desk.sealed("GET", "info-service-account", {"accessKey": key}))
    if line.on("policy"):
        policy = found.get("policy")
        document = json.loads(policy) if isinstance(policy, str) and policy else policy
        shell.console.say({"status": "success", "policy": document}, dumps(document, 1))
        return
    labels = (("AccessKey", key), ("ParentUser", found.get("parentUser", "")),
              ("Status", found.get("accountStatus", "")), ("Name", found.get("name", "")),
              ("Description", found.get("description", "")),
              ("Policy", "implied" if found.get("impliedPolicy") else "embedded"),
              ("Expiration", _until(found)))  # fmt: skip
    text = "\n".join(f"{label + ':':<13}{value}" for label, value in labels)
    shell.console.say({"status": "success", "accessKey": key, **found}, text)


def edit(shell: Shell, line: Line) -> None:
    """mc admin accesskey edit ALIAS KEY."""
    members = {"newSecretKey": line.text("secret-key"), "newName": line.text("name"),
               "newDescription": line.text("description"), "newPolicy": _policy(line),
               "newExpiration": _expiry(line)}  # fmt: skip
    _update(shell, line, members, "edited")


def enable(shell: Shell, line: Line) -> None:
    """mc admin accesskey enable ALIAS KEY."""
    _update(shell, line, {"newStatus": "on"}, "enabled")


def disable(shell: Shell, line: Line) -> None:
    """mc admin accesskey disable ALIAS KEY."""
    _update(shell, line, {"newStatus": "off"}, "disabled")


def _update(shell: Shell, line: Line, members: dict[str, object], done: str) -> None:
    key = line.args[1]
    desk = Desk(shell, line, f"Unable to edit the access key `{key}`.")
    body = desk.seal({name: value for name, value in members.items() if value})
    desk.call("POST", "update-service-account", {"accessKey": key}, body)
    shell.console.say({"status": "success", "accessKey": key}, f"Access key `{key}` {done} successfully.", "ok")
