"""Shamir's secret sharing over GF(2^8), polynomial 0x11B (vault.md 8.1).

A share is `y_0 ... y_(L-1) x`: one byte per secret byte, then the x coordinate. There is no checksum: a wrong quorum
combines to a wrong secret. Multiplication runs the same steps for every operand: no table indexed by a secret.
"""

import secrets
from collections.abc import Sequence

from strongroom.kms.domain.errors import Refused

MAX_SHARES = 255


def multiply(a: int, b: int) -> int:
    """Return a·b in GF(2^8), eight masked steps whatever the operands are."""
    product = 0
    for _ in range(8):
        product ^= -(b & 1) & a
        a = (a << 1) ^ (-(a >> 7) & 0x11B)
        b >>= 1
    return product & 0xFF


def invert(a: int) -> int:
    """Return a^254, the inverse of a; 0 for 0."""
    result = 1
    for _ in range(7):
        a = multiply(a, a)
        result = multiply(result, a)
    return result


def split(secret: bytes, shares: int, threshold: int) -> list[bytes]:
    """Return `shares` parts any `threshold` of which give secret again; x coordinates are random, never 0."""
    if not 2 <= threshold <= shares <= MAX_SHARES:
        raise ValueError(f"{threshold} of {shares} is not a split")
    xs = secrets.SystemRandom().sample(range(1, 256), shares)
    parts = [bytearray() for _ in xs]
    for byte in secret:
        polynomial = bytes([byte]) + secrets.token_bytes(threshold - 1)
        for x, part in zip(xs, parts, strict=True):
            y = 0
            for coefficient in reversed(polynomial):
                y = multiply(y, x) ^ coefficient
            part.append(y)
    return [bytes(part) + bytes([x]) for x, part in zip(xs, parts, strict=True)]


def combine(parts: Sequence[bytes]) -> bytes:
    """Return the value at 0 of the polynomials through parts; raise Refused for parts that cannot belong together."""
    if len({len(part) for part in parts}) != 1:
        raise Refused("all parts must be the same length")
    if len(parts) < 2 or len(parts[0]) < 2:
        raise Refused("less than two parts cannot be used to reconstruct the secret")
    xs = [part[-1] for part in parts]
    if len(set(xs)) != len(xs):
        raise Refused("duplicate part detected")
    weights = [_weight(xs, i) for i in range(len(xs))]
    secret = bytearray(len(parts[0]) - 1)
    for position in range(len(secret)):
        for weight, part in zip(weights, parts, strict=True):
            secret[position] ^= multiply(weight, part[position])
    return bytes(secret)


def _weight(xs: Sequence[int], i: int) -> int:
    """Return Lagrange's basis polynomial i at 0."""
    weight = 1
    for j, x in enumerate(xs):
        if j != i:
            weight = multiply(weight, multiply(x, invert(x ^ xs[i])))
    return weight
