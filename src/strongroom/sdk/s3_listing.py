"""Listings page by page: each function asks `fetch` for one page after the other, in the server's order."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from strongroom.errors import Malformed
from strongroom.sdk.s3_call import Query
from strongroom.sdk.s3_xml import Listed, Page

Fetch = Callable[[Query], Page]
Mark = TypeVar("Mark")


def objects(fetch: Fetch, fixed: Query) -> Iterator[Listed]:
    """Yield the entries of ListObjectsV2; fixed: what every request asks."""
    token = ""
    while True:
        found = fetch([*fixed, *([("continuation-token", token)] if token else [])])
        yield from found.entries
        if not found.truncated or not found.token:
            return
        token = _onward(token, found.token)


def marked(fetch: Fetch, fixed: Query, second: str) -> Iterator[Listed]:
    """Yield versions or uploads; second: the name of the marker beside `key-marker`."""
    key_marker, other = "", ""
    while True:
        marks = [("key-marker", key_marker), (second, other)] if key_marker else []
        found = fetch([*fixed, *[mark for mark in marks if mark[1]]])
        yield from found.entries
        if not found.truncated or not found.key_marker:
            return
        key_marker, other = _onward((key_marker, other), (found.key_marker, found.second_marker))


def _onward(before: Mark, after: Mark) -> Mark:
    """Return after; raise Malformed when the server stays where it was, which would never end."""
    if before == after:
        raise Malformed("the server's listing does not go on")
    return after
