"""The envelope of an answer as a value (vault.md 1.4)."""

from dataclasses import dataclass, field
from typing import Any

from strongroom.cli.kms.jsontext import loads

_ENVELOPE = frozenset(("request_id", "lease_id", "data", "auth", "wrap_info", "warnings"))


@dataclass(frozen=True, slots=True)
class Secret:
    """What a server answered; numbers keep their spelling. Contents stay out of the repr."""

    request_id: str = ""
    lease_id: str = ""
    lease_duration: int = 0  # seconds
    renewable: bool = False
    data: dict[str, Any] | None = field(default=None, repr=False)
    warnings: tuple[str, ...] = ()
    auth: dict[str, Any] | None = field(default=None, repr=False)
    wrap_info: dict[str, Any] | None = field(default=None, repr=False)
    raw: bytes = field(default=b"", repr=False)


def secret_of(body: bytes) -> Secret | None:
    """Return the secret of a body, None for an empty one; a body without an envelope becomes its data.

    A body that is no JSON object is None as well: the status has already said whether all went well.
    """
    try:
        value = loads(body) if body.strip() else None
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    if not _ENVELOPE & value.keys():
        return Secret(data=None if value.keys() <= {"errors"} else value, raw=body)
    data = value.get("data")
    return Secret(
        request_id=str(value.get("request_id") or ""),
        lease_id=str(value.get("lease_id") or ""),
        lease_duration=int(value.get("lease_duration") or 0),
        renewable=bool(value.get("renewable")),
        data=data if isinstance(data, dict) else None,
        warnings=tuple(map(str, value.get("warnings") or ())),
        auth=value.get("auth") or None,
        wrap_info=value.get("wrap_info") or None,
        raw=body,
    )
