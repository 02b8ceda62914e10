"""`policy fmt` (vault.md 10.3)."""

from pathlib import Path

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.hclformat import BadHcl, format_hcl


def fmt(call: Call) -> int:
    """Rewrite a policy file in the usual layout; the file stays as it is when it cannot be read as a policy."""
    path = Path(call.words[0]).expanduser()
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise Fault(f"Error reading source file: open {call.words[0]}: no such file or directory") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"Error reading source file: {error}") from None
    try:
        formatted = format_hcl(text)
    except BadHcl as error:
        raise Fault(f"failed to parse policy: {error}") from None
    try:
        path.write_text(formatted, "utf-8")
    except OSError as error:
        raise Fault(f"Error writing result: {error}") from None
    return call.success(f"Formatted policy: {call.words[0]}")


COMMANDS = {
    "policy fmt": Command(
        fmt,
        "FILE",
        "Puts a policy file into the usual layout. Comments stay.",
        "PROGRAM policy fmt ./minio-kes-policy.hcl",
        (1, 1),
        network=False,
        format=False,
        exits="Exit codes: 0 done, 1 the file cannot be read, or not as a policy.",
    ),
}
