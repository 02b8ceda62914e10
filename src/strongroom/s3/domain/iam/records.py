"""IAM entries as they are stored (JSON, sealed by the storer under the default key). docs/formats/iam.md, version 1."""

from typing import TypeVar

import msgspec

from strongroom.errors import Malformed

ENABLED, DISABLED = "enabled", "disabled"
R = TypeVar("R", bound="Entry")


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What all entries share. updated: RFC 3339, UTC."""

    updated: str = ""

    def to_bytes(self) -> bytes:
        """Return the JSON form."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls: type[R], data: bytes) -> R:
        """Read the JSON form; raise Malformed."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError as error:
            raise Malformed(f"{cls.__name__}: {error}") from error


class User(Entry, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A long-lived access key of its own. policies: names of attached policies."""

    secret: str
    enabled: bool = True
    policies: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"User(enabled={self.enabled}, policies={self.policies})"


class Group(Entry, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Users that share policies."""

    members: tuple[str, ...] = ()
    enabled: bool = True
    policies: tuple[str, ...] = ()


class NamedPolicy(Entry, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A policy document, as it was written."""

    document: str
    created: str = ""


class Account(Entry, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A service account, or with a token a session (STS): acts for its parent, narrowed by its own policy.

    policy   a document, "" to have what the parent has; it can only narrow
    expires  seconds since the epoch, 0 = never
    """

    secret: str
    parent: str
    token: str = ""
    policy: str = ""
    enabled: bool = True
    expires: int = 0
    name: str = ""
    description: str = ""

    def __repr__(self) -> str:
        return f"Account(parent={self.parent!r}, enabled={self.enabled}, expires={self.expires})"


KINDS: dict[str, type[Entry]] = {
    "users": User,
    "groups": Group,
    "policies": NamedPolicy,
    "accounts": Account,
}
