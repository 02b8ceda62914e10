"""Random bytes and hashes, at sys/tools/ and in transit (vault.md 2.15, 6.2)."""

import hashlib
import os
from base64 import b64encode

from strongroom.kms.domain import acl
from strongroom.kms.domain.encoding import unbase64
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.transit.signing import DIGESTS
from strongroom.kms.handlers.call import Call, Reply, Route, route

MAX_BYTES = 128 * 1024
RANDOM = {"bytes": "int", "urlbytes": "int", "format": "text", "source": "text"}
HASH = {"input": "text", "algorithm": "text", "urlalgorithm": "text", "format": "text"}


def random_bytes(call: Call) -> Reply:
    """Return random bytes as base64 or hex."""
    text = call.captures.get("urlbytes") or ""
    count = int(text) if text else call.get("bytes") if call.has("bytes") else 32
    form = call.get("format") or "base64"
    if count < 1:
        raise Refused("'bytes' cannot be less than 1")
    if count > MAX_BYTES:
        raise Refused(f"'bytes' should be less than {MAX_BYTES}")
    if form not in ("base64", "hex"):
        raise Refused(f'unsupported encoding format "{form}"; must be "hex" or "base64"')
    data = os.urandom(count)
    return Reply(data={"random_bytes": data.hex() if form == "hex" else b64encode(data).decode()})


def hashed(call: Call) -> Reply:
    """Return a hash of base64 input."""
    algorithm = call.captures.get("urlalgorithm") or call.get("algorithm") or "sha2-256"
    form = call.get("format") or "hex"
    if not call.has("input"):
        raise Refused("input missing")
    data = unbase64(call.get("input"), "unable to decode input as base64: ")
    if algorithm not in DIGESTS or algorithm == "sha1":
        raise Refused(f"unsupported algorithm {algorithm}")
    if form not in ("base64", "hex"):
        raise Refused(f'unsupported encoding format {form}; must be "hex" or "base64"')
    digest = hashlib.new(DIGESTS[algorithm], data).digest()
    return Reply(data={"sum": digest.hex() if form == "hex" else b64encode(digest).decode()})


def routes(head: str) -> list[Route]:
    """Return the routes, below head."""
    random = {acl.UPDATE: random_bytes, acl.READ: random_bytes}
    return [
        route(head + r"random(/(?P<source>all|platform|seal))?(/(?P<urlbytes>\d+))?/?", random, fields=RANDOM),
        route(head + r"hash(/(?P<urlalgorithm>[\w-]+))?/?", {acl.UPDATE: hashed}, fields=HASH),
    ]
