"""Help texts, made of the commands' own tables."""

import textwrap

from strongroom.cli.kms.brand import Brand
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.flags import Flag
from strongroom.cli.kms.registry import below

_COMMON = ("read", "write", "list", "delete", "kv", "login", "server", "status", "operator", "token", "policy")


def program_help(brand: Brand) -> str:
    """Return the help of the program itself."""
    members = below("")
    common = {word: members[word] for word in _COMMON}
    others = {word: about for word, about in sorted(members.items()) if word not in common}
    return (
        f"Usage: {brand.program} COMMAND [flags] [arguments]\n\n"
        f"Common commands:\n{_list(common)}\nOther commands:\n{_list(others)}\n"
        f"Example:\n  {brand.program} kv put -mount=kv app/db password=-\n\n"
        f"`{brand.program} COMMAND -help` tells more. Exit codes: 0 done, 1 wrong usage or a local error, "
        "2 refused\nby the server or nothing found, 127 no such command.\n"
    )


def group_help(brand: Brand, group: str) -> str:
    """Return the help of a group of commands."""
    members = below(group)
    first = next(iter(members))
    return (
        f"Usage: {brand.program} {group} COMMAND [flags] [arguments]\n\n"
        f"Commands:\n{_list(members)}\n"
        f"Example:\n  {brand.program} {group} {first} -help\n"
    )


def command_help(brand: Brand, name: str, command: Command) -> str:
    """Return the help of one command."""
    usage = f"Usage: {brand.program} {name} {command.usage}".rstrip()
    own = command.flags
    shared = tuple(flag for flag in command.all_flags() if flag not in own)
    parts = [usage, textwrap.fill(command.about, 100)]
    if own:
        parts.append("Flags:\n" + _flags(own))
    if shared:
        parts.append("Flags for output and connection:\n" + _flags(shared))
    example = textwrap.indent(command.example.replace("PROGRAM", brand.program), "  ")
    parts.append(f"Example:\n{example}")
    parts.append(command.exits)
    return "\n\n".join(parts) + "\n"


def _list(members: dict[str, str]) -> str:
    width = max(map(len, members)) + 4
    return "".join(f"  {word:<{width}}{about}\n" for word, about in members.items())


def _flags(flags: tuple[Flag, ...]) -> str:
    heads = [_head(flag) for flag in flags]
    width = min(max(map(len, heads)) + 4, 36)
    lines = []
    for head, flag in zip(heads, flags, strict=True):
        about = textwrap.wrap(flag.about, 100 - width)
        lines.append(f"  {head:<{width}}{about[0]}")
        lines += [" " * (width + 2) + line for line in about[1:]]
    return "\n".join(lines)


def _head(flag: Flag) -> str:
    value = f"=<{flag.kind.shown}>" if flag.kind.shown else ""
    return ", ".join(f"-{name}" for name in (flag.name, *flag.aliases)) + value
