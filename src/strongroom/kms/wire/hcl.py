"""HCL version 1 and JSON as a tree with line numbers (vault.md 7.1, 9.1): text in, nodes out, or Malformed.

Written because python-hcl2 reads another dialect, keeps quotes and heredocs raw and gives no positions (settled.md,
kms). The texts of refusals are those that clients know (`At 1:12: object expected closing RBRACE got: EOF`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from strongroom.errors import Malformed

MAX_DEPTH = 64
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)|(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)
      |(?P<heredoc><<-?[A-Za-z_0-9]+\n)|(?P<STRING>"(?:[^"\\\n]|\\.)*")
      |(?P<number>-?\d[\w.+-]*)|(?P<IDENT>[^\W\d][\w.-]*)
      |(?P<ASSIGN>=)|(?P<COLON>:)|(?P<LBRACE>\{)|(?P<RBRACE>\})|(?P<LBRACK>\[)|(?P<RBRACK>\])|(?P<COMMA>,)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)")
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number or boolean."""

    value: str | int | float | bool | None
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A list in brackets."""

    values: "tuple[Node, ...]"
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Item:
    """`key "label" ... { }` or `key = value`: the keys as written; assigned says that there was a `=` or `:`."""

    keys: tuple[str, ...]
    value: "Node"
    line: int
    column: int
    assigned: bool


@dataclass(frozen=True, slots=True)
class Object:
    """Items in braces, or the whole document."""

    items: tuple[Item, ...]
    line: int = 1
    column: int = 1


Node: TypeAlias = Literal | Listing | Object


@dataclass(slots=True)
class Token:
    """One word of the text: its kind, text, decoded value and place."""

    kind: str
    text: str
    line: int
    column: int
    value: Any = None


def parse(text: str) -> Object:
    """Return the document's tree; text that begins with `{` is JSON, read by the same grammar."""
    parser = _Parser(text)
    return parser.document()


def plain(node: Node) -> Any:
    """Return a node as Python values; repeated keys of an object become lists of objects."""
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Listing):
        return [plain(value) for value in node.values]
    result: dict[str, Any] = {}
    for item in node.items:
        value = plain(item.value)
        for key in reversed(item.keys[1:]):
            value = {key: value}
        known = result.get(item.keys[0])
        if item.keys[0] in result and isinstance(value, dict):
            result[item.keys[0]] = [*known, value] if isinstance(known, list) else [known, value]
        else:
            result[item.keys[0]] = value
    return result


def unquote(body: str) -> str:
    """Return a quoted string's content, escapes decoded."""

    def decode(match: re.Match[str]) -> str:
        escape = match.group(1)
        if escape[0] in "uUx" and len(escape) > 1:
            return chr(int(escape[1:], 16))
        return _SIMPLE.get(escape, escape)

    text = _ESCAPE.sub(decode, body)
    if any(0xD800 <= ord(c) < 0xE000 for c in text):  # JSON's surrogate pairs
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _number(text: str) -> int | float:
    try:
        return int(text, 0) if not text.lstrip("-").startswith("0") or "x" in text else int(text)
    except ValueError:
        return float(text)


@dataclass(slots=True)
class _Parser:
    text: str
    tokens: Iterator[Token] = field(init=False)
    token: Token = field(init=False)
    depth: int = 0

    def __post_init__(self) -> None:
        self.tokens = self._scan()
        self.next()

    def next(self) -> Token:
        before = getattr(self, "token", None)
        self.token = next(self.tokens)
        return before  # type: ignore[return-value]

    def _scan(self) -> Iterator[Token]:
        position, line, start = 0, 1, 0
        text, size = self.text, len(self.text)
        while position < size:
            match = _TOKEN.match(text, position)
            column = position - start + 1
            if match is None:
                unfinished = text[position] == '"'
                raise Malformed(f"At {line}:{column}: {'literal not terminated' if unfinished else 'illegal char'}")
            kind, word = str(match.lastgroup), match.group()
            position = match.end()
            if kind == "heredoc":
                body, position = self._heredoc(word, position, line, column)
                yield Token("STRING", word, line, column, body)
                word += text[match.end() : position]
            elif kind == "STRING":
                yield Token(kind, word, line, column, unquote(word[1:-1]))
            elif kind == "number":
                yield self._numeric(word, line, column)
            elif kind == "IDENT":
                yield Token("BOOL" if word in _WORDS else kind, word, line, column, _WORDS.get(word, word))
            elif kind not in ("space", "comment"):
                yield Token(kind, word, line, column)
            if "\n" in word:
                line += word.count("\n")
                start = match.start() + word.rindex("\n") + 1
        end = Token("EOF", "", line, size - start + 2)
        while True:
            yield end

    def _numeric(self, word: str, line: int, column: int) -> Token:
        try:
            return Token("NUMBER", word, line, column, _number(word))
        except ValueError as error:
            raise Malformed(f"At {line}:{column}: illegal number {word!r}") from error

    def _heredoc(self, word: str, position: int, line: int, column: int) -> tuple[str, int]:
        indented, anchor = word.startswith("<<-"), word.strip().lstrip("<-")
        lines: list[str] = []
        for found in re.finditer(r"[^\n]*(\n|$)", self.text[position:]):
            content = found.group()
            if content.strip() == anchor:
                ends = position + found.start() + len(content.rstrip("\n"))
                if indented:
                    margin = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
                    lines = [x[margin:] for x in lines]
                return "".join(lines), ends
            lines.append(content)
            if not content.endswith("\n"):
                break
        raise Malformed(f"At {line}:{column}: heredoc not terminated")

    def document(self) -> Object:
        found = self.object() if self.token.kind == "LBRACE" else Object(self.items("EOF"))
        if self.token.kind != "EOF":
            raise Malformed(f"At {self.token.line}:{self.token.column}: unexpected token: {self.token.kind}")
        return found

    def object(self) -> Object:
        start = self.next()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Malformed(f"At {start.line}:{start.column}: nested too deeply")
        items = self.items("RBRACE")
        if self.token.kind != "RBRACE":
            place = f"At {self.token.line}:{self.token.column}"
            raise Malformed(f"{place}: object expected closing RBRACE got: {self.token.kind}")
        self.next()
        self.depth -= 1
        return Object(items, start.line, start.column)

    def items(self, end: str) -> tuple[Item, ...]:
        found: list[Item] = []
        while self.token.kind not in (end, "EOF"):
            if self.token.kind not in ("IDENT", "STRING", "BOOL"):
                break
            found.append(self.item())
            if self.token.kind == "COMMA":
                self.next()
        if end == "EOF" and self.token.kind != "EOF":
            raise Malformed(
                f"At {self.token.line}:{self.token.column}: expected: IDENT | STRING got: {self.token.kind}"
            )
        return tuple(found)

    def item(self) -> Item:
        first, keys = self.token, []
        while self.token.kind in ("IDENT", "STRING", "BOOL"):
            token = self.next()
            keys.append(token.text if token.kind == "BOOL" else token.value)
        if self.token.kind in ("ASSIGN", "COLON"):
            self.next()
            return Item(tuple(keys), self.value(), first.line, first.column, assigned=True)
        if self.token.kind == "LBRACE":
            return Item(tuple(keys), self.object(), first.line, first.column, assigned=False)
        place = f"At {self.token.line}:{self.token.column}"
        raise Malformed(f"{place}: key '{keys[-1]}' expected start of object ('{{') or assignment ('=')")

    def value(self) -> Node:
        token = self.token
        if token.kind in ("STRING", "NUMBER", "BOOL"):
            self.next()
            return Literal(token.value, token.line, token.column)
        if token.kind == "LBRACE":
            return self.object()
        if token.kind == "LBRACK":
            return self.listing()
        if token.kind == "IDENT" and token.value == "null":
            self.next()
            return Literal(None, token.line, token.column)
        raise Malformed(f"At {token.line}:{token.column}: Unknown token: {token.line}:{token.column} {token.kind}")

    def listing(self) -> Listing:
        start, values = self.next(), []
        while self.token.kind != "RBRACK":
            if self.token.kind not in ("STRING", "NUMBER", "BOOL", "LBRACE", "LBRACK"):
                place = f"At {self.token.line}:{self.token.column}"
                raise Malformed(f"{place}: unexpected token while parsing list: {self.token.kind}")
            values.append(self.value())
            if self.token.kind == "COMMA":
                self.next()
            elif self.token.kind != "RBRACK":
                place = f"At {self.token.line}:{self.token.column}"
                raise Malformed(f"{place}: error parsing list, expected comma or list end, got: {self.token.kind}")
        self.next()
        return Listing(tuple(values), start.line, start.column)
