"""Help texts, manual pages and shell completion, all made from the tables."""

from collections.abc import Iterator

from strongroom.cli.mc.examples import examples
from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Command, Flag, Line
from strongroom.cli.mc.shell import Shell
from strongroom.cli.mc.table import GLOBALS, ROOT

EXIT_CODES = "Exit codes: 0 done, 1 failed (a line on standard error says why), 130 interrupted, 143 terminated."


def _flag_lines(flags: tuple[Flag, ...]) -> list[str]:
    rows = []
    for flag in flags:
        if flag.hidden:
            continue
        names = ", ".join(("--" if len(name) > 1 else "-") + name for name in flag.names)
        rows.append((names if flag.kind == "on" else f"{names} {flag.meta}", flag))
    wide = max((len(left) for left, _ in rows), default=0)
    return [
        f"  {left:<{wide}}  {f.about}{' [$' + f.env.split()[0] + ']' if f.env else ''}".rstrip() for left, f in rows
    ]


def _child_lines(command: Command) -> list[str]:
    shown = [child for child in command.children if not child.hidden]
    wide = max(len(child.name) for child in shown)
    return [f"  {child.name:<{wide}}  {child.about}" for child in shown]


GROUP_EXAMPLES = 2  # lines in the help of a group


def text(command: Command, path: tuple[str, ...], program: str) -> str:
    """Return the help of a command or group."""
    called = " ".join((program, *path))
    lines = [f"NAME:\n  {called} - {command.about}", ""]
    if command.run:
        lines += [f"USAGE:\n  {called} [FLAGS] {command.usage}".rstrip(), ""]
    else:
        lines += [f"USAGE:\n  {called} COMMAND [FLAGS] ARGS", "", "COMMANDS:", *_child_lines(command), ""]
    own = _flag_lines(command.flags) if command is not ROOT else []
    lines += ["FLAGS:", *own, ""] if own else []
    shown = [f"  {program} {each}" for each in examples(path)[: None if command.run else GROUP_EXAMPLES]]
    lines += ["EXAMPLES:", *shown, ""] if shown else []
    lines += ["GLOBAL FLAGS:", *_flag_lines(GLOBALS), "", EXIT_CODES]
    return "\n".join(lines)


def supported(command: Command) -> str:
    """Return the list that follows a complaint about a flag."""
    return "SUPPORTED FLAGS:\n" + "\n".join(_flag_lines((*command.flags, *(() if command is ROOT else GLOBALS))))


def near(word: str, command: Command) -> list[str]:
    """Return the commands that were perhaps meant."""
    from difflib import get_close_matches

    names = [child.name for child in command.children if not child.hidden]
    return sorted(get_close_matches(word, names, 3, 0.7))


def _walk(command: Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    yield path, command
    for child in command.children:
        if not child.hidden:
            yield from _walk(child, (*path, child.name))


def _long(flags: tuple[Flag, ...]) -> str:
    return " ".join(f"--{flag.name}" for flag in flags if not flag.hidden)


def completion(shell: Shell, line: Line) -> None:
    """mc completion bash|zsh|fish: print a script to source."""
    makers = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    maker = makers.get(line.args[0])
    if maker is None:
        raise Fatal(f"Unknown shell `{line.args[0]}`, use bash, zsh or fish.", INVALID)
    shell.console.line(maker())


def _cases() -> Iterator[str]:
    for path, command in _walk(ROOT):
        words = [child.name for child in command.children if not child.hidden]
        yield f'    "{" ".join(path)}") words="{" ".join([*words, _long(command.flags)]).strip()}" ;;'


_BASH = r"""_strongroom_mc() {{
  local word path="" words="" current="${{COMP_WORDS[COMP_CWORD]}}"
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) continue ;; esac
    case " {paths} " in *" ${{path:+$path,}}$word "*) path="${{path:+$path,}}$word" ;; *) break ;; esac
  done
  case "${{path//,/ }}" in
{cases}
  esac
  words="$words {globals}"
  if [[ "$current" != -* && "$words" != *"$current"* || "$current" == *[/.]* ]]; then
    COMPREPLY=($(compgen -f -- "$current"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}}
complete -o default -F _strongroom_mc mc"""


def _bash() -> str:
    paths = " ".join(",".join(path) for path, _ in _walk(ROOT) if path)
    return _BASH.format(paths=paths, cases="\n".join(_cases()), globals=_long(GLOBALS))


def _zsh() -> str:
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash()


def _fish() -> str:
    lines = ["complete -c mc -f -n __fish_use_subcommand"]
    for path, command in _walk(ROOT):
        seen = " ".join(path)
        unseen = " ".join(child.name for child in command.children)
        when = f"__fish_seen_subcommand_from {path[-1]}" if path else "__fish_use_subcommand"
        guard = f"{when}; and not __fish_seen_subcommand_from {unseen}" if unseen and path else when
        for child in command.children:
            if not child.hidden:
                lines.append(f"complete -c mc -n '{guard}' -a {child.name} -d '{child.about.replace(chr(39), '')}'")
        for flag in command.flags:
            if not flag.hidden:
                needs = "" if flag.kind == "on" else " -r"
                lines.append(f"complete -c mc -n '{when}' -l {flag.name}{needs} # {seen}".rstrip(" #"))
    return "\n".join(lines)


def manual(shell: Shell, line: Line) -> None:
    """mc manual [COMMAND...]: print a manual page (mdoc's older sibling, man(7))."""
    command, path = ROOT, tuple(line.args)
    for word in path:
        below = command.child(word)
        if below is None:
            raise Fatal(f"`{word}` is not a recognized command.", INVALID)
        command = below
    shell.console.line(manual_page(command, path))


def manual_page(command: Command, path: tuple[str, ...] = ()) -> str:
    """Return the man(7) source for a command and everything below it."""
    title = "-".join(("mc", *path)).upper()
    lines = [f".TH {title} 1", ".SH NAME", f"{title.lower()} \\- {command.about}", ".SH COMMANDS"]
    for below, each in _walk(command, path):
        if each.run:
            lines += [".TP", f".B mc {' '.join(below)} [FLAGS] {each.usage}".rstrip(), each.about]
            lines += [f".br\n{row.strip()}" for row in _flag_lines(each.flags)]
            lines += [f".br\nExample: mc {row}" for row in examples(below)]
    lines += [
        ".SH GLOBAL FLAGS",
        *(f".br\n{row.strip()}" for row in _flag_lines(GLOBALS)),
        ".SH EXIT STATUS",
        EXIT_CODES,
    ]
    return "\n".join(line.replace("--", "\\-\\-") for line in lines)
