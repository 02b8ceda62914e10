"""What rekey and generate-root share: a share is given together with the attempt's nonce."""

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.prompt import NoTerminal, ask_secret
from strongroom.cli.kms.values import read_stdin


def share_and_nonce(call: Call, nonce: str, operation: str) -> tuple[str, str]:
    """Return the share to send and the nonce to send it with.

    On a terminal the running attempt's nonce is shown and used; a share from the command line or standard input has
    to come with -nonce, so that it cannot end up in an attempt that somebody else has started. Raises Fault.
    """
    given = str(call.flag("nonce"))
    if call.words:
        share = read_stdin(call).strip() if call.words[0] == "-" else call.words[0].strip()
        if not given:
            raise Fault("Missing nonce value: specify it via the -nonce flag")
        return share, given
    if call.flag("non-interactive"):
        raise Fault("Refusing to ask for a share with -non-interactive; pass it as the argument, or - to read it")
    call.say(f"{operation} nonce: {nonce}")
    try:
        return ask_secret(call, "Unseal Key (will be hidden): "), given or nonce
    except NoTerminal as error:
        raise Fault(_no_terminal(str(error))) from None


def _no_terminal(reason: str) -> str:
    return (
        'The unseal key cannot be asked for, because standard input is no terminal. To pipe it in, pass "-" as the\n'
        f"argument and the attempt's -nonce. The reason was: {reason}"
    )
