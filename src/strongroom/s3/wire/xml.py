"""XML documents in and out: small trees of (name, content), and a reader that survives hostile input.

Out: written by hand, so that element order and escaping are the wire's. In: defusedxml refuses entities and DTDs.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

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


def dump(node: Node, *, namespace: bool = False) -> str:
    """Return a tree as markup."""
    inner = "".join([dump(child) for child in node.children]) if node.children else xml_text(node.text)
    attribute = f' xmlns="{NAMESPACE}"' if namespace else ""
    return f"<{node.name}{attribute}>{inner}</{node.name}>"


MAX_DEPTH = 16


def _node(source: Element, depth: int = 0) -> Node:
    if depth > MAX_DEPTH:
        raise Refused("MalformedXML")
    children = tuple([_node(child, depth + 1) for child in source if isinstance(child.tag, str)])
    return Node(source.tag.rpartition("}")[2], source.text or "", children)


class NotXml(Exception):
    """The body is no XML document; the message is the detail for the client."""


def read(body: bytes) -> Node:
    """Return a document's tree; raise NotXml."""
    if not body.strip():
        raise NotXml("EOF")
    try:
        return _node(fromstring(body, forbid_dtd=True))
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise NotXml("XML syntax error on line 1: unexpected EOF") from error


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
