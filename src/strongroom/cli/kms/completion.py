"""`completion`: a shell's completion script, made of the command table."""

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.registry import COMMANDS as ALL
from strongroom.cli.kms.registry import below, load

SHELLS = ("bash", "zsh", "fish")


def completion(call: Call) -> int:
    """Print the script for one shell."""
    shell = call.words[0]
    if shell not in SHELLS:
        raise Fault(f"Unknown shell: {shell}. Known: {', '.join(SHELLS)}")
    program = call.brand.program.split()[0]
    lead = call.brand.program.partition(" ")[2]
    call.out.write(_fish(program, lead) if shell == "fish" else _bash(program, lead, zsh=shell == "zsh"))
    return 0


def _choices() -> dict[str, list[str]]:
    """Return what may follow each group or command: the next words, or the flags."""
    groups = {" ".join(name.split()[:depth]) for name in ALL for depth in range(4)}
    choices = {group: list(below(group)) for group in sorted(groups) if below(group)}
    for name in ALL:
        if name != "server":
            choices[name] = [f"-{flag.name}" for flag in load(name).all_flags()]
    return choices


def _bash(program: str, lead: str, *, zsh: bool) -> str:
    name = f"_{program}_{lead}".rstrip("_")
    skipped = 1 + len(lead.split())
    cases = "\n".join(f'    "{key}") words="{" ".join(words)}" ;;' for key, words in _choices().items())
    start = "autoload -U +X bashcompinit && bashcompinit\n" if zsh else ""
    return f"""{start}{name}() {{
  local path="" words="" at word="${{COMP_WORDS[COMP_CWORD]}}"
  for ((at = {skipped}; at < COMP_CWORD; at++)); do
    [[ ${{COMP_WORDS[at]}} == -* ]] || path="${{path:+$path }}${{COMP_WORDS[at]}}"
  done
  case "$path" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F {name} {program}
"""


def _fish(program: str, lead: str) -> str:
    lines = []
    for key, words in _choices().items():
        seen = " ".join([lead, key]).split()
        test = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in seen) or "__fish_use_subcommand"
        options = " ".join(f"-o {word[1:]}" if word.startswith("-") else f"-a {word}" for word in words)
        lines += [f"complete -c {program} -n '{test}' {option}" for option in _fish_options(options)]
    return "\n".join(lines) + "\n"


def _fish_options(options: str) -> list[str]:
    words = options.split()
    return [" ".join(pair) for pair in zip(words[::2], words[1::2], strict=True)]


COMMANDS = {
    "completion": Command(
        completion,
        "bash|zsh|fish",
        "Prints the completion script of a shell.",
        'eval "$(PROGRAM completion bash)"',
        (1, 1),
        network=False,
        format=False,
    ),
}
