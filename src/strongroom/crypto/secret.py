"""Key bytes that do not show themselves."""

import hmac
from typing import NoReturn, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview


class Secret:
    """Secret bytes: hidden in `repr`, compared in constant time, never pickled, overwritten by `wipe`.

    `reveal()` gives the bytes to a cipher; libraries copy keys, so `wipe` shortens a secret's life, no more than that.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Buffer) -> None:
        self._value = bytearray(value)

    def reveal(self) -> bytearray:
        """Return the bytes themselves, not a copy: do not keep them beyond the call that needs them."""
        return self._value

    def wipe(self) -> None:
        """Overwrite the bytes with zeros; the length stays."""
        self._value[:] = bytes(len(self._value))

    def __bytes__(self) -> bytes:
        return bytes(self._value)

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a dictionary's lookup would compare in variable time

    def __repr__(self) -> str:
        return f"Secret({len(self._value)} bytes)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
