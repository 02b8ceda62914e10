"""XML documents in and out: small trees of (name, content), and a reader that survives hostile input.

Out: written by hand, so that element order and escaping are the wire's. In: defusedxml refuses entities and DTDs.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire.errors import xml_text

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

Content: TypeAlias = "str | int | bool | list[Item] | None"
Item: TypeAlias = tuple[str, Content]


def element(name: str, content: Content) -> str:
    """Return one element; None gives nothing at all."""
    if content is None:
        return ""
    if isinstance(content, bool):
        return f"<{name}>{'true' if content else 'false'}</{name}>"
    if isinstance(content, list):
        return f"<{name}>{''.join([element(*item) for item in content])}</{name}>"
    return f"<{name}>{xml_text(str(content))}</{name}>"


def document(name: str, content: list[Item], *, namespace: bool = True, head: bool = True) -> bytes:
    """Return a whole document."""
    return wrap(name, "".join([element(*item) for item in content]), namespace=namespace, head=head)


def wrap(name: str, inner: str, *, namespace: bool = True, head: bool = True) -> bytes:
    """Return a document around markup that is written already."""
    attribute = f' xmlns="{NAMESPACE}"' if namespace else ""
    return f"{HEAD if head else ''}<{name}{attribute}>{inner}</{name}>".encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Node:
    """An element read: name without namespace, text as it came, children in order."""

    name: str
    text: str = ""
    children: tuple["Node", ...] = field(default=())

    def first(self, name: str) -> "Node | None":
        """Return the first child of this name."""
        return next((child for child in self.children if child.name == name), None)

    def all(self, name: str) -> Iterator["Node"]:
        """Yield the children of this name."""
        return (child for child in self.children if child.name == name)

    def value(self, name: str, default: str = "") -> str:
        """Return the text of the first child of this name."""
        child = self.first(name)
        return default if child is None else child.text

    def has(self, name: str) -> bool:
        """Say whether there is a child of this name."""
        return self.first(name) is not None


def only(node: Node, names: Collection[str], *, once: Collection[str] = ()) -> None:
    """Raise Refused for a child of another name, or one of `once` that stands twice.

    What is misspelt would be left out: of a rule that removes objects, the filter.
    """
    found = [child.name for child in node.children]
    if any(name not in names for name in found) or any(found.count(name) > 1 for name in once):
        raise Refused("MalformedXML")


def dump(node: Node, *, namespace: bool = False) -> str:
    """Return a tree as markup."""
    inner = "".join([dump(child) for child in node.children]) if node.children else xml_text(node.text)
    attribute = f' xmlns="{NAMESPACE}"' if namespace else ""
    return f"<{node.name}{attribute}>{inner}</{node.name}>"


MAX_DEPTH = 16
MAX_ELEMENTS = 150_000  # the largest honest document: 10,000 parts, each with a number, an ETag and checksums


class NotXml(Exception):
    """The body is no XML document; the message is the detail for the client."""


class _Builder:
    """Makes the tree while the parser reads, so that a hostile document ends at a limit rather than as a whole tree."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[tuple[str, list[str], list[Node]]] = []
        self._count = 0

    def start(self, tag: str, _: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) > MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise Refused("MalformedXML")
        self._open.append((tag.rpartition("}")[2], [], []))

    def data(self, text: str) -> None:
        _, pieces, children = self._open[-1]
        if not children:
            pieces.append(text)

    def end(self, _: str) -> None:
        name, pieces, children = self._open.pop()
        node = Node(name, "".join(pieces), tuple(children))
        if self._open:
            self._open[-1][2].append(node)
        else:
            self.root = node

    def close(self) -> Node:
        if self.root is None:
            raise NotXml("EOF")
        return self.root


def read(body: bytes) -> Node:
    """Return a document's tree; raise NotXml, or Refused for one that is too deep or has too many elements."""
    if not body.strip():
        raise NotXml("EOF")
    parser = DefusedXMLParser(target=_Builder(), forbid_dtd=True)
    try:
        parser.feed(body)
        node: Node = parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise NotXml("XML syntax error on line 1: unexpected EOF") from error
    return node


def parse(body: bytes, root: str | Iterable[str], *, detail: bool = True, code: str = "MalformedXML") -> Node:
    """Return the tree of a document whose root is `root`; raise Refused(code), with a detail unless told not to."""
    roots = (root,) if isinstance(root, str) else tuple(root)
    try:
        node = read(body)
        if node.name not in roots:
            raise NotXml(f"expected element type {'/'.join(f'<{name}>' for name in roots)} but have <{node.name}>")
    except NotXml as error:
        text = "The XML you provided was not well-formed or did not validate against our published schema."
        raise Refused(code, f"{text} ({error})" if detail else None) from error
    return node
