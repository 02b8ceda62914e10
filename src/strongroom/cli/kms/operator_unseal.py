"""`operator unseal` and `operator seal` (vault.md 2.3 and 10.3)."""

from typing import Any

from strongroom.cli.kms import status
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.prompt import NoTerminal, ask_secret
from strongroom.cli.kms.values import read_stdin


def unseal(call: Call) -> int:
    """Give one share, or drop those given so far."""
    body: dict[str, Any] = {"reset": True}
    if not call.flag("reset"):
        body = {"key": _share(call), "reset": False, "migrate": call.flag("migrate")}
    try:
        seal = call.client.request("PUT", "sys/unseal", body).json() or {}
    except ServerFault as fault:
        raise fault.under("Error unsealing") from None
    status.show(call, seal, REMOTE)
    return 0


def _share(call: Call) -> str:
    if call.words:
        return read_stdin(call).strip() if call.words[0] == "-" else call.words[0].strip()
    if call.flag("non-interactive"):
        raise Fault(
            "Refusing to read from stdin with -non-interactive specified; specify unseal\n"
            "key as an argument to this command"
        )
    try:
        return ask_secret(call, "Unseal Key (will be hidden): ")
    except NoTerminal as error:
        raise Fault(_no_terminal(str(error))) from None


def _no_terminal(reason: str) -> str:
    return (
        "An error occurred attempting to ask for an unseal key. The raw error message\n"
        "is shown below, but usually this is because you attempted to pipe a value\n"
        "into the unseal command or you are executing outside of a terminal (tty). You\n"
        "should run the unseal command from a terminal for maximum security. If this\n"
        "is not an option, the unseal key can be provided as the first argument to the\n"
        f"unseal command. The raw error was:  {reason}"
    )


def seal(call: Call) -> int:
    """Seal the server."""
    try:
        call.client.request("PUT", "sys/seal")
    except ServerFault as fault:
        raise fault.under("Error sealing") from None
    return call.success("Vault is sealed.")


COMMANDS = {
    "operator unseal": Command(
        unseal,
        "[flags] [KEY]",
        "Gives the server one share of its unseal key and shows how many are still wanted. Without KEY it is asked "
        "for, unseen; - reads it from standard input.",
        "PROGRAM operator unseal",
        (0, 1),
        (
            Flag("reset", "drop the shares given so far", Kind.SWITCH),
            Flag("migrate", "the share is for the move to another seal", Kind.SWITCH),
        ),
        expected="1",
    ),
    "operator seal": Command(
        seal,
        "[flags]",
        "Seals the server: it drops its keys and answers nothing until it is unsealed again.",
        "PROGRAM operator seal",
        format=False,
    ),
}
