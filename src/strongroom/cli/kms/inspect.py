"""`version`, `version-history`, `print token`, `path-help`."""

from strongroom.cli.kms import table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault


def version(call: Call) -> int:
    """Print the version line; the second word is v and the number."""
    call.say(call.brand.version)
    return 0


def print_token(call: Call) -> int:
    """Print the token that a command would use; without one an empty line."""
    call.say(call.token)
    return 0


def path_help(call: Call) -> int:
    """Print the server's own description of a path."""
    path = call.words[0].strip("/")
    try:
        answer = call.client.request("GET", path, query=(("help", "1"),)).json()
    except ServerFault as fault:
        raise fault.under("Error retrieving help") from None
    text = answer.get("help") if isinstance(answer, dict) else None
    if not text:
        raise Fault(f"No help for {path}", REMOTE)
    call.show(answer, str(text).rstrip("\n") + "\n")
    return 0


def version_history(call: Call) -> int:
    """Print which versions the server has run since when."""
    try:
        secret = call.client.names("sys/version-history")
    except ServerFault as fault:
        raise fault.under("Error reading version history") from None
    data = (secret.data if secret else None) or {}
    details = data.get("key_info") or {}
    rows = []
    for key in data.get("keys") or ():
        info = details.get(key) or {}
        date = info.get(call.brand.date_key) or info.get("build_date") or info.get("commit_date") or ""
        rows.append((str(key), str(info.get("timestamp_installed", "")), str(date)))
    if not rows:
        raise Fault("No value found at sys/version-history", REMOTE)
    call.show(data, table.headed(("Version", "Installation Time", call.brand.date_label), rows))
    return 0


COMMANDS = {
    "version": Command(
        version, "", "Prints the version that this program answers as, and its own.", "PROGRAM version",
        (0, None),
        network=False, format=False,
    ),
    "version-history": Command(
        version_history, "[flags]", "Shows which versions a server has run, and since when.", "PROGRAM version-history",
    ),
    "print token": Command(
        print_token, "", "Prints the token that commands would use: the variable's, else the kept one.",
        'curl -H "X-Vault-Token: $(PROGRAM print token)" $VAULT_ADDR/v1/sys/mounts', network=False, format=False,
    ),
    "path-help": Command(
        path_help, "[flags] PATH", "Shows the server's description of a path.", "PROGRAM path-help sys/mounts", (1, 1),
    ),
}  # fmt: skip
