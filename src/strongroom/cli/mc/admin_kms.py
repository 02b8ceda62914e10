"""mc admin kms key: keys of the server's key service (mc.md 10.4; states and usage: settled.md, s3)."""

from strongroom.cli.mc.admin_calls import Desk, mapping
from strongroom.cli.mc.admin_info import plural
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import parse_duration, size, table
from strongroom.cli.mc.shell import Shell
from strongroom.sdk.s3_admin import KMS


def create(shell: Shell, line: Line) -> None:
    """mc admin kms key create ALIAS KEY."""
    key = line.args[1]
    desk = Desk(shell, line, "Failed to create master key")
    desk.call("POST", "key/create", {"key-id": key}, b"", base=KMS)
    if shell.console.terminal and not shell.console.json:  # silent in a pipe, as recorded
        shell.console.say({}, f"Created master key `{key}` successfully", "ok")


def list_(shell: Shell, line: Line) -> None:
    """mc admin kms key list ALIAS."""
    desk = Desk(shell, line, "Failed to list KMS keys")
    found = desk.json("GET", "key/list", {"pattern": line.text("pattern", "*")}, base=KMS)
    names = [str(mapping(each).get("name", "")) for each in found] if isinstance(found, list) else []
    shell.console.say({"status": "success", "target": desk.name, "keys": sorted(names)}, _drawn(names))


def _drawn(names: list[str]) -> str:
    """Draw the table with its title, the numbers right-aligned."""
    wide = max([len("NAME"), *map(len, names)])
    inner = 5 + 1 + wide + 2
    lines = ["┌" + "─" * inner + "┐", "│" + " KMS Keys".ljust(inner) + "│", "├─────┬" + "─" * (wide + 2) + "┤",
             f"│ S N │ {'NAME':<{wide}} │", "├─────┼" + "─" * (wide + 2) + "┤"]  # fmt: skip
    lines += [f"│ {number:>3} │ {name:<{wide}} │" for number, name in enumerate(names, 1)]
    return "\n".join([*lines, "└─────┴" + "─" * (wide + 2) + "┘"])


def status(shell: Shell, line: Line) -> None:
    """mc admin kms key status ALIAS [KEY]: the server makes and opens a data key."""
    desk = Desk(shell, line, "Failed to get status information")
    key = line.args[1] if len(line.args) > 1 else ""
    found = mapping(desk.json("GET", "key/status", {"key-id": key} if key else {}, base=KMS))
    name = str(found.get("key-id", ""))
    sealing, opening = str(found.get("encryption-error", "")), str(found.get("decryption-error", ""))
    record: dict[str, object] = {"keyId": name}
    record.update(
        {member: text for member, text in (("encryptionError", sealing), ("decryptionError", opening)) if text}
    )
    record["status"] = "success"
    shell.console.say(record, f"Key: {name}\n   - Encryption {_mark(shell, sealing)}\n   - Decryption "
                              + (_mark(shell, opening) if opening or not sealing else "?"))  # fmt: skip


def _mark(shell: Shell, problem: str) -> str:
    if problem:
        return f"{shell.console.paint('✗', 'bad')} ({problem})"
    return shell.console.paint("✔", "good")


# ---- beyond the original ----


def _change(shell: Shell, line: Line, verb: str, done: str, *, method: str = "POST", **query: str) -> None:
    key = line.args[1]
    desk = Desk(shell, line, f"Failed to {verb} key `{key}`")
    found = mapping(desk.json(method, f"key/{verb}", {"key-id": key, **query}, b"", base=KMS))
    shell.console.say({"status": "success", "target": desk.name, "keyId": key, **found}, done.replace("{key}", key),
                      "ok")  # fmt: skip


def rotate(shell: Shell, line: Line) -> None:
    """mc admin kms key rotate ALIAS KEY."""
    _change(shell, line, "rotate", "Rotated key `{key}`: new objects use its new version.")


def disable(shell: Shell, line: Line) -> None:
    """mc admin kms key disable ALIAS KEY."""
    _change(shell, line, "disable", "Disabled key `{key}`: objects under it cannot be read until it is enabled.")


def enable(shell: Shell, line: Line) -> None:
    """mc admin kms key enable ALIAS KEY."""
    _change(shell, line, "enable", "Enabled key `{key}`.")


def restore(shell: Shell, line: Line) -> None:
    """mc admin kms key restore ALIAS KEY."""
    _change(shell, line, "restore", "Restored key `{key}`: its deletion is called off.")


def delete(shell: Shell, line: Line) -> None:
    """mc admin kms key delete ALIAS KEY: after a waiting time; asks, or --force."""
    key, after = line.args[1], line.text("after", "7d")
    try:
        seconds = int(parse_duration(after))
    except ValueError as error:
        raise Fatal(f"Invalid --after value `{after}`.", str(error)) from error
    if not line.on("force") and shell.ask(f"Objects under `{key}` will be lost for ever. Type its name: ") != key:
        raise Fatal(f"Key `{key}` was not deleted.", "The name was not confirmed; --force skips the question.")
    _change(shell, line, "delete", "Key `{key}` will be deleted after " + after + "; `restore` calls it off.",
            method="DELETE", after=f"{seconds}s")  # fmt: skip


def info(shell: Shell, line: Line) -> None:
    """mc admin kms key info ALIAS KEY."""
    key = line.args[1]
    desk = Desk(shell, line, f"Failed to describe key `{key}`")
    found = mapping(desk.json("GET", "key/info", {"key-id": key}, base=KMS))
    members = {str(name): value for name, value in found.items()
               if name not in {"key-id", "name"} and value not in ("", None)}  # fmt: skip
    rows = [("Key", key), *((_label(name), _cell(value)) for name, value in members.items() if not _rows(value))]
    lists = [f"\n{_label(name)}:\n{_grid(value)}" for name, value in members.items() if _rows(value)]
    shell.console.say({"status": "success", "target": desk.name, "keyId": key, **found},
                      "\n".join([table(rows), *lists]))  # fmt: skip


def _label(name: str) -> str:
    """Write a member's name as people do: created_at becomes Created at."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def _rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _grid(value: object) -> str:
    """Draw a list of objects: a row each, the members of the first as columns."""
    items = [mapping(each) for each in value] if isinstance(value, list) else []
    names = list(items[0])
    return table([tuple(map(_label, names)), *(tuple(_cell(item.get(name, "")) for name in names) for item in items)])


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def usage(shell: Shell, line: Line) -> None:
    """mc admin kms key usage ALIAS KEY: what would be lost with the key."""
    key = line.args[1]
    desk = Desk(shell, line, f"Failed to get the usage of key `{key}`")
    found = mapping(desk.json("GET", "key/usage", {"key-id": key}, base=KMS))
    rows = [("Bucket", "Objects", "Versions", "Size", "Default")]
    buckets = found.get("buckets")
    for each in buckets if isinstance(buckets, list) else []:
        bucket = mapping(each)
        default = _cell(bucket.get("prefixes") or bool(bucket.get("default")))
        rows.append((str(bucket.get("name", "")), str(_int(bucket.get("objects"))), str(_int(bucket.get("versions"))),
                     size(_int(bucket.get("bytes"))), default))  # fmt: skip
    parts = [plural(_int(found.get(f"{word}s")), word) for word in ("object", "version")]
    total = f"Key `{key}` protects {', '.join(parts)}, {size(_int(found.get('bytes')))}, "
    total += f"in {plural(len(rows) - 1, 'bucket')}."
    if own := _int(found.get("users-and-policies")):
        total += f"\nThe server keeps {own} entries of users and policies under it: without the key no user can log in."
    text = f"{table(rows)}\n{total}" if len(rows) > 1 else total
    shell.console.say({"status": "success", "target": desk.name, "keyId": key, **found}, text)


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
