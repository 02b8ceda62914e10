"""AWS Signature Version 4 as S3 uses it: the pure functions that server and client share (s3.md 3.2).

Everything is text or bytes in, text or bytes out; no clock. S3 encodes a path once (other services twice).
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, quote_plus, unquote_to_bytes

from strongroom.crypto.mac import hmac_sha256

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
AMZ_DATE = "%Y%m%dT%H%M%SZ"  # of x-amz-date, UTC

NOT_UTF8 = re.compile("[\ud800-\udfff]")  # what bytes that are no UTF-8 are decoded to
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/_.~-]*")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_.~-]*")

Pairs = Sequence[tuple[str, str]]


def encode(text: str | bytes) -> str:
    """Return text percent-encoded but for the unreserved characters, upper-case hex (RFC 3986, 2.3)."""
    if isinstance(text, str) and _PLAIN_WORD.fullmatch(text):
        return text
    return quote(text, safe="-_.~")


def encode_path(key: str | bytes) -> str:
    """Return a key as it is written in a path: like encode, but `/` stays."""
    return quote(key, safe="/-_.~")


def canonical_path(raw: str) -> str:
    """Return the path that was signed for a raw request path: decoded, then encoded again (s3.md 2.2)."""
    if _PLAIN_PATH.fullmatch(raw):
        return raw or "/"
    return quote(unquote_to_bytes(raw.encode("latin-1")), safe="/-_.~") or "/"


def parse_query(query: str) -> list[tuple[str, str]]:
    """Split a raw query into decoded pairs, in order; `+` is a blank; a name without `=` has the value "".

    Bytes that are not UTF-8 survive as surrogates, so that encoding gives them back.
    """
    if not query:
        return []
    pairs = []
    for piece in query.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((_decode(name), _decode(value)))
    return pairs


def _decode(text: str) -> str:
    if _PLAIN_WORD.fullmatch(text):
        return text
    return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8", "surrogateescape")


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the pairs encoded, sorted by name then value; `X-Amz-Signature` is left out."""
    encoded = [
        (encode(name.encode("utf-8", "surrogateescape")), encode(value.encode("utf-8", "surrogateescape")))
        if not (_PLAIN_WORD.fullmatch(name) and _PLAIN_WORD.fullmatch(value))
        else (name, value)
        for name, value in pairs
        if name != "X-Amz-Signature"
    ]
    encoded.sort()
    return "&".join([f"{name}={value}" for name, value in encoded])


def value_text(value: str) -> str:
    """Return a header's value, as net hands it over, as the text whose UTF-8 it is: its bytes are what was signed."""
    return value if value.isascii() else value.encode("latin-1").decode("utf-8", "surrogateescape")


def canonical_value(value: str) -> str:
    """Return a header's value as it is signed: trimmed, inner runs of blanks collapsed, also tabs and Unicode's.

    So do the SDKs for Python, Go and JavaScript.
    """
    if "  " in value or "\t" in value or not value.isascii():
        return " ".join(value.split())
    return value.strip()


def canonical_request(method: str, path: str, query: str, headers: Pairs, payload_hash: str) -> str:
    """Return the canonical request.

    path and query are canonical already; headers are the signed ones: names in lower case, sorted.
    """
    lines = "".join([f"{name}:{canonical_value(value)}\n" for name, value in headers])
    names = ";".join([name for name, _ in headers])
    return f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload_hash}"


def scope(date: str, region: str, service: str = "s3") -> str:
    """Return the credential scope of a day (YYYYMMDD)."""
    return f"{date}/{region}/{service}/{TERMINATOR}"


def string_to_sign(amz_date: str, credential_scope: str, canonical: str) -> str:
    """Return what is signed: amz_date is YYYYMMDDTHHMMSSZ."""
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{amz_date}\n{credential_scope}\n{digest}"


def signing_key(secret: str, date: str, region: str, service: str = "s3") -> bytes:
    """Derive the key of a day, region and service from a secret key."""
    key = hmac.digest(b"AWS4" + secret.encode(), date.encode(), "sha256")
    for word in (region, service, TERMINATOR):
        key = hmac.digest(key, word.encode("utf-8", "surrogateescape"), "sha256")
    return key


def same(wanted: str, given: str) -> bool:
    """Compare two secrets in constant time. given may be anything that a client sends (parse_query)."""
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "surrogateescape"))


def signature(key: bytes, text: str) -> str:
    """Sign text; return 64 hex digits."""
    return hmac_sha256(key, text.encode("utf-8", "surrogateescape")).hex()


def chunk_string(amz_date: str, credential_scope: str, previous: str, chunk_sha256: str) -> str:
    """Return what is signed for one aws-chunk (s3.md 3.3)."""
    return f"AWS4-HMAC-SHA256-PAYLOAD\n{amz_date}\n{credential_scope}\n{previous}\n{EMPTY_SHA256}\n{chunk_sha256}"


def trailer_string(amz_date: str, credential_scope: str, previous: str, trailer: bytes) -> str:
    """Return what is signed for the trailer: its lines, each `name:value` LF."""
    digest = hashlib.sha256(trailer).hexdigest()
    return f"AWS4-HMAC-SHA256-TRAILER\n{amz_date}\n{credential_scope}\n{previous}\n{digest}"


# ---- for clients ----


def sign(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    *,
    access_key: str,
    key: bytes,
    region: str,
    amz_date: str,
    payload_hash: str,
    service: str = "s3",
) -> dict[str, str]:
    """Return the headers with x-amz-date, x-amz-content-sha256 and authorization added.

    path is the encoded path; headers must hold `host` and all that is to be signed (names in any case); key is
    signing_key() of the day. The last 64 characters of `authorization` are the seed of signed chunks.
    """
    signed = {name.lower(): value for name, value in headers.items()}
    signed["x-amz-date"] = amz_date
    signed["x-amz-content-sha256"] = payload_hash
    pairs = sorted(signed.items())
    where = scope(amz_date[:8], region, service)
    canonical = canonical_request(method, canonical_path(path), canonical_query(query), pairs, payload_hash)
    seal = signature(key, string_to_sign(amz_date, where, canonical))
    names = ";".join([name for name, _ in pairs])
    signed["authorization"] = f"{ALGORITHM} Credential={access_key}/{where}, SignedHeaders={names}, Signature={seal}"
    return signed


def presign(
    method: str,
    path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    *,
    access_key: str,
    key: bytes,
    region: str,
    amz_date: str,
    expires: int,
    token: str = "",
    service: str = "s3",
) -> str:
    """Return the query string of a presigned URL, valid for expires seconds; headers must hold `host`."""
    signed = sorted((name.lower(), value) for name, value in headers.items())
    where = scope(amz_date[:8], region, service)
    pairs = [
        *query,
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{access_key}/{where}"),
        ("X-Amz-Date", amz_date),
        ("X-Amz-Expires", str(expires)),
        ("X-Amz-SignedHeaders", ";".join([name for name, _ in signed])),
        *([("X-Amz-Security-Token", token)] if token else []),
    ]
    text = canonical_query(pairs)
    canonical = canonical_request(method, canonical_path(path), text, signed, UNSIGNED_PAYLOAD)
    return f"{text}&X-Amz-Signature={signature(key, string_to_sign(amz_date, where, canonical))}"


def form_encode(text: str) -> str:
    """Encode a key for `encoding-type=url`: blank as `+`, `/` and `*` kept, `~` encoded (s3.md 5.1)."""
    return quote_plus(text, safe="/*", errors="surrogateescape").replace("~", "%7E")
