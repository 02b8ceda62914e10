"""What can go wrong, in words all boxes share.

The message is for the operator's log. A client gets the row that its box's table gives for the class, so that an
internal word cannot slip out. A box adds subclasses of its own in `<box>/domain/`.
"""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class Error(Exception):
    """Everything we raise on purpose."""


class Malformed(Error):
    """The peer's bytes break the format."""


class TooLarge(Malformed):
    """The peer sent, or announced, more than a limit allows."""


class Incomplete(Malformed):
    """The peer stopped before the end it had announced."""


class NotFound(Error):
    """The named thing does not exist, or the caller may not know that it does."""


class AlreadyExists(Error):
    """The name is taken; nothing was changed."""


class Conflict(Error):
    """The thing is not in the state that the request expects; nothing was changed."""


class Denied(Error):
    """A policy says no."""


class Unavailable(Error):
    """A store or a peer cannot answer now; a retry may help."""


class NotSupported(Error):
    """A documented feature of the original that we do not have."""


class Tampered(Error):
    """A seal did not open: wrong key, wrong context or changed bytes."""


class BadSettings(Error):
    """A configuration cannot be used; the message names the place and the fix."""


def row(table: Mapping[type[Error], T], error: Error) -> T:
    """Find the closest class's row; a subclass added later still has an answer."""
    return next(table[kind] for kind in type(error).__mro__ if kind in table)
