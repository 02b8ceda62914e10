"""What the kms refuses, with the texts that its protocol defines (vault.md 1.5).

These messages are part of the protocol and reach the client; every other error becomes `internal error`.
"""

from strongroom.errors import Conflict, Denied, Error, Malformed, NotFound, Unavailable


class Refused(Malformed):
    """400: the request cannot be carried out as it is; the text says why."""


class Failed(Error):
    """500: a library-level failure, shown as `N errors occurred` (vault.md 1.5)."""


class FailedPlain(Error):
    """500 with the bare text (AppRole's `missing role_id`)."""


class Forbidden(Denied):
    """403: no valid token."""


class Refusal(Denied):
    """403: a valid token, but a policy says no."""


class Nothing(NotFound):
    """404 without a text."""


class NoRoute(NotFound):
    """404 with the text."""


class UnsupportedPath(NotFound):
    """404: the mount does not know the path."""


class UnsupportedOperation(Conflict):
    """405: the path exists, the operation does not."""


class Sealed(Unavailable):
    """503: no key material in memory."""


class NotActive(Unavailable):
    """503: another server holds the lock, or none does."""


class RateLimited(Error):
    """429: a quota says not now."""


class UnknownVerb(Conflict):
    """405 without a text."""


class BadSwitch(Malformed):
    """400 without a text: `?list=maybe`."""


class UnsupportedMedia(Malformed):
    """415: PATCH with another content type."""
