"""HCL text in the usual layout: two spaces a level, one blank line between blocks, aligned `=` (vault.md 7.1).

Only the layout changes: words, their order and comments stay.
"""

import re
from dataclasses import dataclass, field

STEP = "  "
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+)|(?P<newline>\n)
    |(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
    |(?P<heredoc><<-?(?P<tag>\w+)\n.*?\n[ \t]*(?P=tag)(?=\n|$))
    |(?P<word>"(?:[^"\\\n]|\\.)*"|[\w.+-]+)
    |(?P<mark>[{}\[\]=:,])""",
    re.VERBOSE | re.DOTALL,
)


class BadHcl(ValueError):
    """The text is no HCL; the message names the line."""


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    line: int


@dataclass(slots=True)
class _Object:
    items: list["_Item"] = field(default_factory=list)


@dataclass(slots=True)
class _List:
    elements: list[tuple[object, str]]  # a value and the comment behind it
    spread: bool  # one element a line


@dataclass(slots=True)
class _Item:
    keys: list[str]
    value: object  # _Object, _List, text; None for a comment of its own
    assigned: bool
    comment: str
    first: int  # line of its first and last token
    last: int


def format_hcl(text: str) -> str:
    """Return the text in the usual layout; raise BadHcl when it cannot be read."""
    parser = _Parser(_tokens(text))
    items = parser.items(top=True)
    return "\n".join(_lines(items)) + "\n"


def _tokens(text: str) -> list[_Token]:
    found, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadHcl(f"line {line}: unexpected {text[at]!r}")
        if match.lastgroup != "space":
            kind = "word" if match["heredoc"] else str(match.lastgroup)
            found.append(_Token(kind, match[0], line))
        line += match[0].count("\n")
        at = match.end()
    return found


class _Parser:
    """Recursive descent over tokens; newlines matter only for comments and for how lists are laid out."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def items(self, *, top: bool) -> list[_Item]:
        found: list[_Item] = []
        while (token := self._next(top)) is not None:
            if token.kind == "comment":
                found.append(_Item([], None, False, token.text, token.line, token.line + token.text.count("\n")))
            elif token.kind == "word":
                found.append(self._item(token))
            elif token.text != ",":
                raise BadHcl(f"line {token.line}: unexpected {token.text!r}")
        return found

    def _next(self, top: bool) -> _Token | None:
        """Return the next token that begins an item; None at the end of the block."""
        while self._peek("newline"):
            self._at += 1
        if self._at == len(self._tokens):
            if not top:
                raise BadHcl("the text ends inside a block: a } is missing")
            return None
        token = self._take()
        if token.text == "}" and not top:
            return None
        return token

    def _item(self, token: _Token) -> _Item:
        keys = [token.text]
        while self._peek("word"):
            keys.append(self._take().text)
        assigned = self._peek("mark", "=") or self._peek("mark", ":")
        if assigned:
            self._take()
        elif not self._peek("mark", "{"):
            raise BadHcl(f"line {token.line}: expected = or {{ behind {keys[-1]}")
        value = self._value()
        last = self._tokens[self._at - 1].line
        return _Item(keys, value, assigned, self._comment_behind(), token.line, last)

    def _value(self) -> object:
        while self._peek("newline"):
            self._at += 1
        token = self._take()
        if token.text == "{":
            return _Object(self.items(top=False))
        if token.text == "[":
            return self._list(token.line)
        if token.kind != "word":
            raise BadHcl(f"line {token.line}: expected a value, found {token.text.strip()!r}")
        return token.text

    def _list(self, line: int) -> _List:
        elements: list[tuple[object, str]] = []
        while True:
            if self._peek("newline") or self._peek("mark", ","):
                self._at += 1
            elif self._peek("comment"):
                elements.append((None, self._take().text))
            elif self._peek("mark", "]"):
                return _List(elements, self._take().line != line)
            else:
                value = self._value()
                if self._peek("mark", ","):
                    self._at += 1
                elements.append((value, self._comment_behind()))

    def _comment_behind(self) -> str:
        return self._take().text if self._peek("comment") else ""

    def _peek(self, kind: str, text: str = "") -> bool:
        if self._at == len(self._tokens):
            return False
        token = self._tokens[self._at]
        return token.kind == kind and text in ("", token.text)

    def _take(self) -> _Token:
        if self._at == len(self._tokens):
            raise BadHcl("the text ends too early")
        self._at += 1
        return self._tokens[self._at - 1]


def _lines(items: list[_Item]) -> list[str]:
    lines: list[str] = []
    for group in _groups(items):
        if lines:
            lines.append("")
        width = max((len(" ".join(item.keys)) for item in group if item.assigned), default=0)
        for item in group:
            lines += _item_lines(item, width)
    return lines


def _groups(items: list[_Item]) -> list[list[_Item]]:
    """Return runs of items that stay together: neighbouring one-line attributes, and a comment with what follows it."""
    groups: list[list[_Item]] = []
    for item in items:
        if groups and _together(groups[-1][-1], item):
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _together(before: _Item, item: _Item) -> bool:
    if item.first - before.last > 1:
        return False
    if before.value is None:
        return True
    return item.value is not None and _simple(before) and _simple(item)


def _simple(item: _Item) -> bool:
    return item.assigned and len(_value_lines(item.value)) == 1


def _item_lines(item: _Item, width: int) -> list[str]:
    if item.value is None:
        return item.comment.split("\n")
    first, *rest = _value_lines(item.value)
    keys = " ".join(item.keys)
    head = f"{keys.ljust(width) if _simple(item) else keys} = " if item.assigned else f"{keys} "
    lines = [head + first, *rest]
    if item.comment:
        lines[-1] += f" {item.comment}"
    return lines


def _value_lines(value: object) -> list[str]:
    if isinstance(value, _Object):
        return ["{", *(STEP + line if line else "" for line in _lines(value.items)), "}"] if value.items else ["{}"]
    if isinstance(value, _List):
        return _list_lines(value)
    return str(value).split("\n")


def _list_lines(value: _List) -> list[str]:
    shown = [
        ("\n".join(_value_lines(element)) if element is not None else None, note) for element, note in value.elements
    ]
    if not (value.spread and shown) and not any(note for _, note in shown):
        return f"[{', '.join(str(text) for text, _ in shown)}]".split("\n")
    lines = ["["]
    for text, note in shown:
        line = f"{text}," if text is not None else ""
        lines += [STEP + part for part in f"{line} {note}".strip().split("\n")]
    return [*lines, "]"]
