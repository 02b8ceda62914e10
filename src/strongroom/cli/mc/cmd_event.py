"""mc event: where a bucket's notifications go (mc.md 9.16)."""

from strongroom.cli.mc.cmd_watch import KINDS, kinds
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3_errors import NoSuchConfiguration
from strongroom.sdk.s3_xml import Node, element, parse, writer

TYPES = {"sqs": ("QueueConfiguration", "Queue"), "sns": ("TopicConfiguration", "Topic"),
         "lambda": ("CloudFunctionConfiguration", "CloudFunction")}  # fmt: skip
EMPTY = Node("NotificationConfiguration")


def _kind(arn: str) -> tuple[str, str]:
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] not in TYPES:
        raise Fatal("Invalid ARN", f"`{arn}` is not of the form arn:minio:sqs:REGION:ID:TYPE.")
    return TYPES[parts[2]]


def _load(target: Remote) -> Node:
    try:
        return parse(target.client.get_config(target.bucket, "notification"))
    except NoSuchConfiguration:
        return EMPTY


def _write(node: Node) -> str:
    return element(node.name, [_write(child) for child in node.children] if node.children else node.text)


def _save(target: Remote, nodes: list[str]) -> None:
    target.client.put_config(target.bucket, "notification", writer("NotificationConfiguration")(*nodes))


def _arn(node: Node) -> str:
    return next((node.get(name) for _, name in TYPES.values() if node.get(name)), "")


def _rules(node: Node) -> dict[str, str]:
    return {rule.get("Name").lower(): rule.get("Value") for rule in node.all("Filter/S3Key/FilterRule")}


def _target(shell: Shell, line: Line) -> Remote:
    return shell.remote(line.args[0], "Unable to parse the provided url.", "AddNotificationConfig")


def add(shell: Shell, line: Line) -> None:
    """mc event add TARGET ARN."""
    target, arn = _target(shell, line), line.args[1]
    group, name = _kind(arn)
    wanted = [KINDS[each] for each in kinds(line.text("event", "put,delete,get"))]
    prefix, suffix = line.text("prefix"), line.text("suffix")
    rules = [element("FilterRule", [element("Name", key), element("Value", value)])
             for key, value in (("prefix", prefix), ("suffix", suffix)) if value]  # fmt: skip
    held = [element("Filter", [element("S3Key", rules)])] if rules else []
    new = element(group, [element(name, arn), *(element("Event", each) for each in wanted), *held])
    try:
        present = _load(target)
        if any(_arn(node) == arn and _rules(node).get("prefix", "") == prefix for node in present.children):
            if line.on("ignore-existing"):
                return
            raise Fatal("Unable to enable notification on the specified bucket.",
                        "An object name filtering rule defined with overlapping prefixes exists.")  # fmt: skip
        _save(target, [*map(_write, present.children), new])
    except Error as error:
        if isinstance(error, Fatal):
            raise
        raise Fatal("Unable to enable notification on the specified bucket.", error) from error
    record = {"status": "success", "event": wanted, "prefix": prefix, "suffix": suffix, "arn": arn}
    shell.console.say(record, f"Successfully added {arn}", "ok")


def list_(shell: Shell, line: Line) -> None:
    """mc event ls TARGET [ARN]."""
    target = _target(shell, line)
    for node in _load(target).children:
        arn, rules = _arn(node), _rules(node)
        if len(line.args) > 1 and arn != line.args[1]:
            continue
        names = [each.text for each in node.all("Event")]
        text = f"{arn}   {','.join(names)}   Filter: " + ", ".join(f'{key}="{value}"' for key, value in rules.items())
        record = {"status": "success", "id": node.get("Id"), "event": names, "prefix": rules.get("prefix", ""),
                  "suffix": rules.get("suffix", ""), "arn": arn}  # fmt: skip
        shell.console.say(record, text.rstrip())


def remove(shell: Shell, line: Line) -> None:
    """mc event rm TARGET [ARN] [--force]."""
    target = _target(shell, line)
    if len(line.args) == 1 and not line.on("force"):
        raise Fatal("--force flag needs to be passed to remove all bucket notifications.")
    present = _load(target).children
    kept = [node for node in present if len(line.args) > 1 and not _matches(node, line)]
    try:
        _save(target, [_write(node) for node in kept])
    except Error as error:
        raise Fatal("Unable to disable notification on the specified bucket.", error) from error
    arn = line.args[1] if len(line.args) > 1 else ""
    shell.console.say({"status": "success", "arn": arn}, f"Successfully removed {arn}".rstrip(), "ok")


def _matches(node: Node, line: Line) -> bool:
    rules = _rules(node)
    return (_arn(node) == line.args[1] and line.text("prefix") in {"", rules.get("prefix", "")}
            and line.text("suffix") in {"", rules.get("suffix", "")})  # fmt: skip
