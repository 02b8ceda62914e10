"""Who asks: credentials and what hangs on them."""

from dataclasses import dataclass, field
from typing import Protocol

import msgspec


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key that may sign requests.

    token     the session token that must come with it ("" for long-lived keys)
    expires   seconds since the epoch, 0 = never
    owner     the user it acts for: its own name for a user, the parent for a service account or session
    """

    access_key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires: int = 0
    owner: str = ""
    root: bool = False
    enabled: bool = True


class Principal(msgspec.Struct, frozen=True):
    """Who makes a request. credential None: anonymous."""

    credential: Credential | None = None

    @property
    def name(self) -> str:
        """The access key, "" for anonymous."""
        return self.credential.access_key if self.credential else ""

    @property
    def root(self) -> bool:
        """Whether everything is allowed."""
        return self.credential is not None and self.credential.root


ANONYMOUS = Principal()


class Directory(Protocol):
    """Finds credentials, from memory."""

    def find(self, access_key: str) -> Credential | None:
        """Return the credential of this access key, None if there is none."""
