"""`policy write, read, list, delete` (vault.md 10.3)."""

from pathlib import Path

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault
from strongroom.cli.kms.values import read_stdin


def write(call: Call) -> int:
    """Upload a policy from a file or standard input."""
    given, source = call.words
    name = given.strip().lower()
    if name != given:
        call.note(f'Policy name was converted from "{given}" to "{name}"')
    text = _text(call, source)
    try:
        secret = call.client.write(f"sys/policies/acl/{name}", {"policy": text})
    except ServerFault as fault:
        raise fault.under("Error uploading policy") from None
    if secret:
        call.warn(secret.warnings)
    return call.success(f"Uploaded policy: {name}")


def _text(call: Call, source: str) -> str:
    if source == "-":
        return read_stdin(call)
    try:
        return Path(source).read_text("utf-8")
    except FileNotFoundError:
        raise Fault(f"Error opening policy file: open {source}: no such file or directory", REMOTE) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"Error opening policy file: {error}", REMOTE) from None


def read(call: Call) -> int:
    """Print a policy's text."""
    name = call.words[0].strip().lower()
    try:
        secret = call.client.read(f"sys/policies/acl/{name}")
    except ServerFault as fault:
        raise fault.under(f"Error reading policy named {name}") from None
    text = str(((secret.data if secret else None) or {}).get("policy") or "")
    if not text:
        raise Fault(f"No policy named: {name}", REMOTE)
    call.show({"policy": text}, text.strip() + "\n")
    return 0


def list_policies(call: Call) -> int:
    """Print the names of all policies, one a line."""
    try:
        secret = call.client.names("sys/policies/acl")
    except ServerFault as fault:
        raise fault.under("Error listing policies") from None
    names = list(((secret.data if secret else None) or {}).get("keys") or ())
    call.show(names, "".join(f"{name}\n" for name in names))
    return 0


def delete(call: Call) -> int:
    """Delete a policy."""
    name = call.words[0].strip().lower()
    try:
        call.client.delete(f"sys/policies/acl/{name}")
    except ServerFault as fault:
        raise fault.under(f"Error deleting {name}") from None
    return call.success(f"Deleted policy: {name}")


COMMANDS = {
    "policy write": Command(
        write,
        "[flags] NAME FILE",
        "Uploads a policy from a file, or from standard input if FILE is -. It applies to existing tokens at once.",
        "PROGRAM policy write minio-key-policy ./minio-kes-policy.hcl",
        (2, 2),
        format=False,
    ),
    "policy read": Command(read, "[flags] NAME", "Prints a policy's text.", "PROGRAM policy read default", (1, 1)),
    "policy list": Command(list_policies, "[flags]", "Lists the policies.", "PROGRAM policy list"),
    "policy delete": Command(
        delete, "[flags] NAME", "Deletes a policy; tokens lose its rights at once.", "PROGRAM policy delete old",
        (1, 1), format=False,
    ),
}  # fmt: skip
