"""Request bodies that are documents (XML, JSON): read whole, with their digests verified."""

import hashlib
import hmac
import re

from strongroom.errors import TooLarge
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.intake import plan
from strongroom.s3.wire import sigv4
from strongroom.s3.wire.authenticate import STREAMING
from strongroom.s3.wire.aws_chunked import ChunkDecoder, malformed
from strongroom.s3.wire.object_headers import WantedChecksum, checksum_value, content_md5, wanted_checksum

LIMIT = 1024 * 1024  # bytes of a configuration document
SMALL = 64 * 1024  # bytes of one that is read before it is known whether its sender may send it
_HEX = re.compile(r"[0-9a-f]{64}")


async def document(call: Call, *, limit: int = LIMIT, digest_required: bool = False, of_object: bool = False) -> bytes:
    """Return the body of a request; raise Refused.

    digest_required: Content-MD5 or a checksum header must come with it (s3.md 9).
    of_object: checksum headers describe the finished object, not this body (CompleteMultipartUpload).
    """
    headers = call.headers
    if digest_required and not _has_digest(call):
        raise Refused("MissingContentMD5")
    md5, payload = content_md5(headers), call.signed.payload
    checksum = None if of_object else wanted_checksum(headers)
    try:
        body = await call.body.read(limit + 64 * 1024)
    except TooLarge as error:
        raise Refused("MaxMessageLengthExceeded") from error
    if payload.startswith(STREAMING):
        body, checksum = _dechunk(call, body, checksum)
    elif payload != sigv4.UNSIGNED_PAYLOAD:
        check_payload(payload, body)
    if len(body) > limit:
        raise Refused("MaxMessageLengthExceeded")
    if md5 is not None and not hmac.compare_digest(hashlib.md5(body, usedforsecurity=False).digest(), md5):
        raise Refused("BadDigest")
    if checksum is not None and checksum.value is not None:
        running = checksum.kind.start()
        running.update(body)
        if not hmac.compare_digest(running.digest(), checksum.value):
            raise Refused("BadDigest", f"The {checksum.kind.name} you specified did not match the calculated checksum.")
    return body


def check_payload(payload: str, body: bytes) -> None:
    """Compare a body with the hash that was signed; raise Refused."""
    if not _HEX.fullmatch(payload) or not hmac.compare_digest(hashlib.sha256(body).hexdigest(), payload):
        raise Refused("XAmzContentSHA256Mismatch")


def _has_digest(call: Call) -> bool:
    headers = call.headers
    return (
        "content-md5" in headers
        or any(name.startswith("x-amz-checksum-") for name in headers)
        or ("x-amz-trailer" in headers)
    )


def _dechunk(call: Call, body: bytes, checksum: WantedChecksum | None) -> tuple[bytes, WantedChecksum | None]:
    """Return the document that came as aws-chunked, as some SDKs send it, and its checksum, perhaps of the trailer."""
    made = plan(call)
    plain = bytearray()
    decoder = ChunkDecoder(plain.extend, chunk_key=made.chunk_key, trailer=made.framing.endswith("-TRAILER"))
    decoder.feed(memoryview(body))
    trailer = decoder.finish()
    if len(plain) != made.size:
        raise Refused("IncompleteBody")
    if checksum is not None and checksum.trailer:
        if set(trailer) != {checksum.kind.header}:
            raise malformed()
        checksum = WantedChecksum(checksum.kind, checksum_value(checksum.kind, trailer[checksum.kind.header]))
    return bytes(plain), checksum
