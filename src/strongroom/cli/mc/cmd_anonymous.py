"""mc anonymous, once `mc policy`: access without keys (mc.md 9.15)."""

import json
from pathlib import Path
from urllib.parse import quote

from strongroom.cli.mc.anonymous import permission_name, permission_of, permissions, with_permission
from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.listing import Look, remote_entries
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error, Malformed
from strongroom.sdk.s3_body import Bytes
from strongroom.sdk.s3_call import Upload, expect
from strongroom.sdk.s3_errors import NoSuchConfiguration

Policy = dict[str, object]


def _policy(target: Remote) -> Policy | None:
    try:
        found = json.loads(target.client.get_config(target.bucket, "policy"))
    except NoSuchConfiguration:
        return None
    except ValueError as error:
        raise Malformed(f"a policy that is not JSON: {error}") from error
    return found if isinstance(found, dict) else None


def _put(target: Remote, policy: Policy) -> None:
    if not policy.get("Statement"):
        target.client.drop_config(target.bucket, "policy")
        return
    _send(target, json.dumps(policy, separators=(",", ":")).encode())


def _send(target: Remote, body: bytes) -> None:
    expect(target.client.call("PUT", target.bucket, "", [("policy", "")], upload=Upload(Bytes(body))))


def _say(shell: Shell, op: str, word: str, name: str, verb: str, policy: Policy | None = None) -> None:
    record: dict[str, object] = {"operation": op, "status": "success", "bucket": word, "permission": name}
    if policy is not None:
        record["anonymous"] = shown(policy)
    shell.console.say(record, f"Access permission for `{word}` {verb} `{name}`", "ok")


def shown(policy: Policy) -> Policy:
    """Return a policy with its lists sorted, as mc shows it."""
    found = policy.get("Statement")
    rows = [{name: sorted(value) if isinstance(value, list) else value for name, value in sorted(each.items())}
            for each in found if isinstance(each, dict)] if isinstance(found, list) else []  # fmt: skip
    return {"Statement": rows, "Version": policy.get("Version", "")}


def set_(shell: Shell, line: Line) -> None:
    """mc anonymous set PERMISSION TARGET."""
    name, word = permission_name(line.args[0]), line.args[1]
    if not name:
        raise Fatal(
            f"Unrecognized permission `{line.args[0]}`. Allowed values are [private, public, download, upload]."
        )
    failed = f"Unable to set anonymous `{name}` for `{word}`."
    target = shell.remote(word, failed, "SetAccess")
    try:
        _put(target, with_permission(_policy(target), target.bucket, target.key, name))
        now = permission_of(_policy(target), target.bucket, target.key)
    except Error as error:
        raise Fatal(failed, error) from error
    _say(shell, "set", word, now, "is set to")


def set_json(shell: Shell, line: Line) -> None:
    """mc anonymous set-json FILE TARGET."""
    file, word = line.args
    failed = f"Unable to set anonymous `{file}` for `{word}`."
    target = shell.remote(word, failed, "SetAccess")
    try:
        _send(target, Path(file).read_bytes().strip())
    except (Error, OSError) as error:
        raise Fatal(failed, error) from error
    _say(shell, "set-json", word, file, "is set from")


def _fetched(shell: Shell, line: Line) -> tuple[Remote, Policy | None]:
    word = line.args[0]
    failed = f"Unable to get anonymous `` for `{word}`."
    target = shell.remote(word, failed, "GetAccess")
    try:
        return target, _policy(target)
    except Error as error:
        raise Fatal(failed, error) from error


def get(shell: Shell, line: Line) -> None:
    """mc anonymous get TARGET."""
    target, policy = _fetched(shell, line)
    _say(shell, "get", line.args[0], permission_of(policy, target.bucket, target.key), "is", policy)


def get_json(shell: Shell, line: Line) -> None:
    """mc anonymous get-json TARGET."""
    target, policy = _fetched(shell, line)
    record: dict[str, object] = {"operation": "get-json", "status": "success", "bucket": line.args[0],
                                 "permission": permission_of(policy, target.bucket, target.key)}  # fmt: skip
    if policy is not None:
        record["anonymous"] = shown(policy)
    text = json.dumps(shown(policy or {}), indent=1) if shell.console.terminal else \
        json.dumps(shown(policy or {}), separators=(",", ":"))  # fmt: skip
    shell.console.say(record, text)


def list_(shell: Shell, line: Line) -> None:
    """mc anonymous list TARGET."""
    target, policy = _fetched(shell, line)
    for resource, name in permissions(policy, target.bucket).items():
        if resource.startswith(f"{target.bucket}/{target.key}"):
            shell.console.say({"resource": resource, "allow": name}, f"{resource} => {name}")


def links(shell: Shell, line: Line) -> None:
    """mc anonymous links TARGET: URLs of objects that everybody may read."""
    target, policy = _fetched(shell, line)
    found = permissions(policy, target.bucket)
    readable = [resource[len(target.bucket) + 1 : -1] for resource, name in found.items()
                if name in {"readonly", "readwrite"}]  # fmt: skip
    if not any(prefix.startswith(target.key) or target.key.startswith(prefix) for prefix in readable):
        return
    prefix = target.key
    if prefix and not prefix.endswith("/") and not line.on("recursive"):
        return
    for entry in remote_entries(target, prefix, Look(recursive=line.on("recursive"))):
        if not entry.folder and any(entry.key.startswith(each) for each in readable):
            url = f"{target.alias.url}/{target.bucket}/{quote(entry.key)}"
            shell.console.say({"status": "success", "url": url}, url)
