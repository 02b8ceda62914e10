"""mc ilm rule: lifecycle configurations of buckets (mc.md 9.16)."""

import json
import secrets
import sys
from urllib.parse import parse_qsl

from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import parse_size, table
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3_errors import NoSuchConfiguration
from strongroom.sdk.s3_xml import Node, element, parse, writer

Rule = dict[str, object]
LISTED = {"Rule", "Tag", "Transition", "NoncurrentVersionTransition"}
NUMBERS = {"Days", "NoncurrentDays", "NewerNoncurrentVersions", "ObjectSizeLessThan", "ObjectSizeGreaterThan"}


def _value(node: Node) -> object:
    """Return an element as plain data: repeated ones as lists."""
    if not node.children:
        if node.name in NUMBERS and node.text.strip().isdecimal():
            return int(node.text)
        return {"true": True, "false": False}.get(node.text, node.text)
    found: Rule = {}
    for child in node.children:
        if child.name in LISTED:
            rows = found.setdefault(child.name, [])
            if isinstance(rows, list):
                rows.append(_value(child))
        else:
            found[child.name] = _value(child)
    return found


def _xml(name: str, value: object) -> str:
    if isinstance(value, dict):
        return element(name, [_xml(key, each) for key, each in value.items()])
    if isinstance(value, list):
        return "".join(_xml(name, each) for each in value)
    return element(name, ("true" if value else "false") if isinstance(value, bool) else str(value))


def _load(target: Remote) -> list[Rule]:
    try:
        root = _value(parse(target.client.get_config(target.bucket, "lifecycle")))
    except NoSuchConfiguration:
        return []
    rules = root.get("Rule", []) if isinstance(root, dict) else []
    return [rule for rule in rules if isinstance(rule, dict)]


def _save(target: Remote, rules: list[Rule]) -> None:
    if rules:
        body = writer("LifecycleConfiguration")(*(_xml("Rule", rule) for rule in rules))
        target.client.put_config(target.bucket, "lifecycle", body)
    else:
        target.client.drop_config(target.bucket, "lifecycle")


def _target(shell: Shell, line: Line) -> Remote:
    return shell.remote(line.args[0], "Unable to initialize target `{}`.", "GetLifecycle")


def _number(line: Line, name: str) -> int | None:
    text = line.text(name)
    if text and not text.isdecimal():
        raise Fatal(f"Invalid --{name} value `{text}`.", INVALID)
    return int(text) if text else None


def _filter(line: Line) -> Rule:
    parts: Rule = {}
    if line.text("prefix"):
        parts["Prefix"] = line.text("prefix")
    tags = parse_qsl(line.text("tags"))
    if tags:
        parts["Tag"] = [{"Key": key, "Value": value} for key, value in tags]
    for flag, name in (("size-lt", "ObjectSizeLessThan"), ("size-gt", "ObjectSizeGreaterThan")):
        if line.text(flag):
            parts[name] = parse_size(line.text(flag))
    if len(parts) > 1 or len(tags) > 1:
        return {"And": parts}
    return {"Tag": parts["Tag"]} if tags else parts


def _actions(line: Line) -> Rule:
    """Return what a rule does; raise Fatal when it does nothing."""
    found: Rule = {}
    days, date = _number(line, "expire-days"), line.text("expire-date")
    if days is not None:
        found["Expiration"] = {"Days": days}
    elif date:
        found["Expiration"] = {"Date": date if "T" in date else f"{date}T00:00:00Z"}
    if line.on("expire-delete-marker"):
        found["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    old, newest = _number(line, "noncurrent-expire-days"), _number(line, "noncurrent-expire-newer")
    if old is not None or newest is not None:
        members = {"NoncurrentDays": old, "NewerNoncurrentVersions": newest}
        found["NoncurrentVersionExpiration"] = {key: value for key, value in members.items() if value is not None}
    transition = _number(line, "transition-days") if "transition-days" in line.values.found else None
    if transition is not None:
        found["Transition"] = [{"Days": transition, "StorageClass": line.text("storage-class")}]
    return found


def add(shell: Shell, line: Line) -> None:
    """mc ilm rule add TARGET."""
    target, actions = _target(shell, line), _actions(line)
    if not actions:
        raise Fatal("Unable to generate new lifecycle rules for the input", "At least one of Expiry, Transition, "
                    "NoncurrentExpiry, NoncurrentVersionTransition actions should be specified in a rule.")  # fmt: skip
    name = line.text("id") or secrets.token_hex(10)
    rule: Rule = {"ID": name, "Status": "Disabled" if line.on("disable") else "Enabled", "Filter": _filter(line),
                  **actions}  # fmt: skip
    try:
        rules = [each for each in _load(target) if each.get("ID") != name]
        _save(target, [*rules, rule])
    except Error as error:
        raise Fatal("Unable to set new lifecycle rules", error) from error
    shell.console.say({"status": "success", "target": line.args[0], "id": name},
                      f"Lifecycle configuration rule added with ID `{name}` to {line.args[0]}.", "ok")  # fmt: skip


def edit(shell: Shell, line: Line) -> None:
    """mc ilm rule edit --id ID TARGET."""
    target, name = _target(shell, line), line.text("id")
    try:
        rules = _load(target)
        rule = next((each for each in rules if each.get("ID") == name), None)
        if rule is None:
            raise Fatal(f"Unable to set new lifecycle rules for `{name}`", "There is no rule of this ID.")
        rule.update(_actions(line))
        if line.text("prefix") or line.text("tags") or line.text("size-lt") or line.text("size-gt"):
            rule["Filter"] = _filter(line)
        if line.on("disable") or line.on("enable"):
            rule["Status"] = "Disabled" if line.on("disable") else "Enabled"
        _save(target, rules)
    except Error as error:
        if isinstance(error, Fatal):
            raise
        raise Fatal("Unable to set new lifecycle rules", error) from error
    shell.console.say({"status": "success", "target": line.args[0], "id": name},
                      f"Lifecycle configuration rule with ID `{name}` modified  to {line.args[0]}.", "ok")  # fmt: skip


def list_(shell: Shell, line: Line) -> None:
    """mc ilm rule ls TARGET."""
    target = _target(shell, line)
    rules = _load(target)
    if not rules:
        raise Fatal("Unable to ls lifecycle configuration", "The lifecycle configuration does not exist.")
    rows = [("ID", "Status", "Prefix", "Tags", "Action")]
    for rule in rules:
        held = rule.get("Filter")
        inner = held.get("And", held) if isinstance(held, dict) else {}
        inner = inner if isinstance(inner, dict) else {}
        tags = inner.get("Tag") or []
        shown = "&".join(f"{tag['Key']}={tag['Value']}" for tag in tags if isinstance(tag, dict))
        rows.append((str(rule.get("ID", "")), str(rule.get("Status", "")), str(inner.get("Prefix", "") or "-"),
                     shown or "-", _action_text(rule)))  # fmt: skip
    record = {"status": "success", "target": line.args[0], "config": {"Rules": rules}}
    shell.console.say(record, table(rows))


def _action_text(rule: Rule) -> str:
    names = ("Expiration", "NoncurrentVersionExpiration", "Transition", "NoncurrentVersionTransition")
    found = []
    for name in names:
        value = rule.get(name)
        members = value[0] if isinstance(value, list) and value else value
        if isinstance(members, dict):
            found.append(f"{name} " + ", ".join(f"{key}={each}" for key, each in members.items()))
    return "; ".join(found)


def remove(shell: Shell, line: Line) -> None:
    """mc ilm rule rm --id ID|--all --force TARGET."""
    target, name = _target(shell, line), line.text("id")
    if line.on("all"):
        if not line.on("force"):
            raise Fatal("It is mandatory to specify --force with --all.", INVALID)
        _save(target, [])
        text = f"Rules for `{line.args[0]}` removed."
    else:
        rules = _load(target)
        kept = [rule for rule in rules if rule.get("ID") != name]
        if not name or len(kept) == len(rules):
            raise Fatal("Unable to remove lifecycle rule", f"There is no rule of the ID `{name}`.")
        _save(target, kept)
        text = f"Rule ID `{name}` from target {line.args[0]} removed."
    record = {"status": "success", "id": name, "target": line.args[0], "all": line.on("all")}
    shell.console.say(record, text, "ok")


def export(shell: Shell, line: Line) -> None:
    """mc ilm rule export TARGET."""
    rules = _load(_target(shell, line))
    if not rules:
        raise Fatal("Unable to export lifecycle configuration", "The lifecycle configuration does not exist.")
    shell.console.line(json.dumps({"Rules": rules}, indent=None if shell.console.json else 1))


def import_(shell: Shell, line: Line) -> None:
    """mc ilm rule import TARGET: a document as export prints it, from standard input."""
    target = _target(shell, line)
    try:
        rules = json.load(sys.stdin)["Rules"]
        _save(target, [dict(rule) for rule in rules])
    except (ValueError, KeyError, TypeError) as error:
        raise Fatal("Unable to read input lifecycle configuration", str(error)) from error
    text = f"Lifecycle configuration imported successfully to `{line.args[0]}`."
    shell.console.say({"status": "success", "target": line.args[0]}, text, "ok")
