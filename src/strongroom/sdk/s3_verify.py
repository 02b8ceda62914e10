"""What was downloaded, compared with the checksum that the server keeps of the whole object."""

import os
from base64 import b64decode
from collections.abc import Mapping

from strongroom.errors import Tampered
from strongroom.sdk.s3_body import CHECKSUMS, Hash

MODE = ("x-amz-checksum-mode", "ENABLED")  # asks for the checksum
WINDOW = 256 * 1024


def whole(headers: Mapping[str, str]) -> tuple[str, bytes] | None:
    """Return name and value of a checksum over all bytes of an object; None when an answer has none."""
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    for name in CHECKSUMS:
        value = headers.get(f"x-amz-checksum-{name.lower()}", "")
        if value and "-" not in value:  # `VALUE-2` is a checksum of two parts' checksums
            return name, b64decode(value)
    return None


class Check:
    """Takes the bytes in their order; without a checksum to compare with it does nothing."""

    def __init__(self, wanted: tuple[str, bytes] | None) -> None:
        self._name, self._value = wanted or ("", b"")
        self._hash: Hash | None = CHECKSUMS[self._name]() if wanted else None

    def update(self, data: memoryview) -> None:
        """Take more bytes."""
        if self._hash is not None:
            self._hash.update(data)

    def finish(self) -> None:
        """Raise Tampered when the bytes were others."""
        if self._hash is not None:
            _compare(self._name, self._value, self._hash.digest())


class RangeCheck:
    """The same for a file that is written by ranges at a time: their CRCs are combined, SHAs are made of the file."""

    def __init__(self, wanted: tuple[str, bytes] | None, size: int, step: int) -> None:
        self._name, self._value = wanted or ("", b"")
        self._size, self._step = size, step
        self._found: dict[int, int] = {}

    def start(self) -> Hash | None:
        """Return what a range's bytes go through; None when there is no need."""
        return CHECKSUMS[self._name]() if self._name.startswith("CRC") else None

    def done(self, number: int, state: Hash | None) -> None:
        """Note a range's value."""
        if state is not None:
            self._found[number] = int.from_bytes(state.digest(), "big")

    def finish(self, descriptor: int) -> None:
        """Raise Tampered when the file's bytes are others. Ranges of an earlier run are read again."""
        if not self._name:
            return
        if self.start() is None:
            state = CHECKSUMS[self._name]()
            self._read(descriptor, 0, self._size, state)
            _compare(self._name, self._value, state.digest())
            return
        from awscrt import checksums

        combine = getattr(checksums, f"combine_{self._name.lower()}")
        total = 0
        for number, at in enumerate(range(0, self._size, self._step)):
            length = min(self._step, self._size - at)
            if number not in self._found:
                state = CHECKSUMS[self._name]()
                self._read(descriptor, at, length, state)
                self.done(number, state)
            total = combine(total, self._found[number], length)
        _compare(self._name, self._value, total.to_bytes(len(self._value), "big"))

    def _read(self, descriptor: int, at: int, length: int, state: Hash) -> None:
        for start in range(at, at + length, WINDOW):
            state.update(os.pread(descriptor, min(WINDOW, at + length - start), start))


def _compare(name: str, wanted: bytes, found: bytes) -> None:
    if wanted != found:
        raise Tampered(f"the bytes that came are not the object's: their {name} is another one than the server keeps")
