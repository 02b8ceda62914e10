"""Protobuf on its way out, as much of it as our two messages need: stored keys of kes, and metrics.

Source: https://protobuf.dev/programming-guides/encoding/ (base 128 varints, length-delimited records).
"""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types


def varint(value: int) -> bytes:
    """Return a number of 64 bits, a negative one as its two's complement."""
    value &= 0xFFFFFFFFFFFFFFFF
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def tag(number: int, kind: int) -> bytes:
    """Return what stands in front of a field's value."""
    return varint(number << 3 | kind)


def field(number: int, data: bytes) -> bytes:
    """Return a field of bytes: a string, or a message inside a message."""
    return tag(number, BYTES) + varint(len(data)) + data
