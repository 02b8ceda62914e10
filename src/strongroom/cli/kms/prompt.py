"""Secrets typed on a terminal, unseen."""

from strongroom.cli.kms.call import Call


class NoTerminal(Exception):
    """There is no terminal to ask on."""


def ask_secret(call: Call, prompt: str) -> str:
    """Return what is typed; raise NoTerminal when standard input is none (the prompt is printed in any case)."""
    if not call.stdin.isatty():
        call.say(prompt)
        raise NoTerminal("file descriptor 0 is not a terminal")
    from getpass import getpass

    return getpass(prompt).strip()
