"""Headers of objects: which request headers are kept, and what an answer shows (s3.md 4.5)."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec

from strongroom.s3.domain.checksums import BY_HEADER, COMPOSITE, FULL_OBJECT, KINDS, Kind
from strongroom.s3.domain.object_record import ChecksumRecord, Lock
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire.carried import header_value

KEPT = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)
SHOWN = {
    "content-type": "Content-Type",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "content-disposition": "Content-Disposition",
    "cache-control": "Cache-Control",
    "expires": "Expires",
    "x-amz-storage-class": "x-amz-storage-class",
    "x-amz-website-redirect-location": "x-amz-website-redirect-location",
}
OVERRIDES = {
    "response-content-type": "content-type",
    "response-content-language": "content-language",
    "response-expires": "expires",
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
}
DEFAULT_TYPE = "binary/octet-stream"
STORAGE_CLASSES = frozenset({"STANDARD", "REDUCED_REDUNDANCY"})
MAX_USER = 2 * 1024  # bytes, names (without x-amz-meta-) and values together
USER = "x-amz-meta-"
INTERNAL = "x-minio-internal-"
UNKEPT_USER = frozenset({"x-amz-meta-x-amz-unencrypted-content-length", "x-amz-meta-x-amz-unencrypted-content-md5"})
HARMLESS_INTERNAL = frozenset(
    f"x-minio-internal-server-side-encryption-{name}" for name in ("iv", "seal-algorithm", "sealed-key")
)  # accepted and ignored by the original (sse.md 3)
_ENCODED = re.compile(r"=\?[^?]+\?[bBqQ]\?")


def check_internal(headers: Mapping[str, str]) -> None:
    """Raise Refused for headers that name internal metadata."""
    for name in headers:
        if name.startswith(INTERNAL) and name not in HARMLESS_INTERNAL:
            raise Refused("InvalidArgument", "Your metadata headers are not supported.")


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the system headers that are stored with an object; raise Refused for an unknown storage class."""
    kept = {name: headers[name] for name in KEPT if headers.get(name)}
    kept.setdefault("content-type", DEFAULT_TYPE)
    encoding = kept.get("content-encoding")
    if encoding is not None and "aws-chunked" in encoding:
        rest = ",".join([piece.strip() for piece in encoding.split(",") if piece.strip() != "aws-chunked"])
        kept["content-encoding"] = rest
        if not rest:
            del kept["content-encoding"]
    storage_class = kept.get("x-amz-storage-class")
    if storage_class is not None:
        if storage_class not in STORAGE_CLASSES:
            raise Refused("InvalidStorageClass")
        if storage_class == "STANDARD":
            del kept["x-amz-storage-class"]
    return kept


def user_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the user metadata of a request; raise Refused when it is too large."""
    found = {name: value for name, value in headers.items() if name.startswith(USER) and name not in UNKEPT_USER}
    if not found:
        return found
    if sum(len(name) - len(USER) + len(value) for name, value in found.items()) > MAX_USER:
        raise Refused("MetadataTooLarge")
    return {name: _text(value) for name, value in found.items()}


def _text(value: str) -> str:
    """Return a header value as text: UTF-8 sent raw, and RFC 2047 words decoded."""
    try:
        if value.isascii():
            text = str(make_header(decode_header(value))) if _ENCODED.search(value) else value
        else:
            text = value.encode("latin-1").decode("utf-8")
    except (ValueError, LookupError, MessageError):
        return value
    return text if text.isprintable() else value  # an encoded line end must not come back as one


def header_text(value: str) -> str:
    """Return user metadata as a header value: RFC 2047 when it is not ASCII."""
    if value.isascii():
        return value
    data = value.encode()
    if any(c in "\"#$%&'(),.:;<>@[]^`{|}~" for c in value):
        return f"=?UTF-8?b?{b64encode(data).decode()}?="
    words = "".join(
        [chr(b) if chr(b).isascii() and chr(b).isalnum() else "_" if b == 32 else f"={b:02X}" for b in data]
    )
    return f"=?UTF-8?q?{words}?="


def tag_pairs(header: str) -> list[tuple[str, str]]:
    """Return names and values of an x-amz-tagging header, as net hands it over; what is not encoded in it is UTF-8."""
    try:
        text = header if header.isascii() else header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        text = header
    return parse_qsl(text, keep_blank_values=True)


def parse_tagging(header: str) -> dict[str, str]:
    """Return the tags of an x-amz-tagging header."""
    return check_tags(tag_pairs(header))


_TAG_TEXT = re.compile(r"[\w\s+\-=.:/@]*")


def check_tags(pairs: list[tuple[str, str]], limit: int = 10) -> dict[str, str]:
    """Return a tag set; raise Refused for what AWS forbids (s3.md 8.3)."""
    if len(pairs) > limit:
        raise Refused("BadRequest", f"Tags cannot be more than {limit}")
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refused("InvalidTag", "Cannot provide multiple Tags with the same key")
    for name, value in pairs:
        if not 1 <= len(name) <= 128 or not _TAG_TEXT.fullmatch(name):
            raise Refused("InvalidTag")
        if len(value) > 256 or not _TAG_TEXT.fullmatch(value):
            raise Refused("InvalidTag", "The TagValue you have provided is invalid")
    return dict(pairs)


@dataclass(frozen=True, slots=True)
class WantedChecksum:
    """The checksum a client sends or asks for. value None: computed; trailer: the value comes after the body."""

    kind: Kind
    value: bytes | None = None
    trailer: bool = False


def content_md5(headers: Mapping[str, str]) -> bytes | None:
    """Return Content-MD5's digest, None without; raise Refused when it is none."""
    header = headers.get("content-md5")
    if header is None:
        return None
    digest = _base64(header)
    if digest is None or len(digest) != 16:
        raise Refused("InvalidDigest", extra={"Content-MD5": header} if header else None)
    return digest


def _base64(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return None


_CHECKSUM = "x-amz-checksum-"
_ABOUT = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"})
_NO_CHECKSUM = "Invalid checksum provided."


def wanted_checksum(headers: Mapping[str, str]) -> WantedChecksum | None:
    """Return what checksum a write carries; raise Refused for two of them, an unknown one or an impossible value."""
    if "-checksum-" not in " ".join(headers) and "x-amz-trailer" not in headers:
        return None  # usual, and ten times as quick as what follows
    found = [name for name in headers if name.startswith(_CHECKSUM) and name not in _ABOUT]
    trailers = [
        name
        for piece in headers.get("x-amz-trailer", "").split(",")
        if (name := piece.strip().lower()).startswith(_CHECKSUM)
    ]
    sdk, algorithm = headers.get("x-amz-sdk-checksum-algorithm"), headers.get("x-amz-checksum-algorithm")
    asked = _known(algorithm) if algorithm else None
    if len(found) + len(trailers) > 1 or any(name not in BY_HEADER for name in (*found, *trailers)):
        raise Refused("InvalidArgument", _NO_CHECKSUM)
    kind = BY_HEADER[(*found, *trailers)[0]] if found or trailers else None
    if kind is None:  # an algorithm that an SDK names without a value means nothing to the original (recorded)
        return WantedChecksum(asked) if asked is not None else None
    if sdk and sdk.upper() != kind.name:
        raise Refused("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    if not found:
        return WantedChecksum(kind, trailer=True)
    return WantedChecksum(kind, checksum_value(kind, headers[found[0]]))


def _known(name: str) -> Kind:
    kind = KINDS.get(name.upper())
    if kind is None:
        raise Refused("InvalidArgument", _NO_CHECKSUM)
    return kind


def checksum_value(kind: Kind, text: str) -> bytes:
    """Return a checksum header's value; raise Refused when it cannot be one."""
    value = _base64(text)
    if value is None or len(value) != kind.size:
        raise Refused("BadDigest", f"Value for {kind.header} header is invalid.")
    return value


def wanted_type(headers: Mapping[str, str]) -> str:
    """Return the algorithm and type that CreateMultipartUpload asks for, "" for none (s3.md 4.4)."""
    name = headers.get("x-amz-checksum-algorithm")
    kind_type = headers.get("x-amz-checksum-type")
    if not name:
        if kind_type:
            raise Refused(
                "InvalidRequest", "The x-amz-checksum-type header can only be used with the algorithm header."
            )
        return ""
    kind = _known(name)
    if kind_type and kind_type.upper() not in kind.types:
        text = f"The {kind_type.upper()} checksum type cannot be used with the {kind.name} checksum algorithm."
        raise Refused("InvalidRequest", text)
    return f"{kind.name} {kind_type.upper() if kind_type else kind.types[0]}"


def checksum_text(record: ChecksumRecord) -> str:
    """Return a checksum's value as clients see it: base64, `-N` behind a composite."""
    text = b64encode(record.value).decode()
    return f"{text}-{record.parts}" if record.type == COMPOSITE and record.parts else text


def checksum_headers(record: ChecksumRecord | None) -> list[tuple[str, str]]:
    """Return the headers that carry a checksum."""
    if record is None or record.kind not in KINDS:
        return []
    return [(KINDS[record.kind].header, checksum_text(record)), ("x-amz-checksum-type", record.type or FULL_OBJECT)]


@lru_cache(maxsize=1024)
def http_date(seconds: int) -> str:
    """Return an RFC 1123 date."""
    return formatdate(seconds, usegmt=True)


class Shown(msgspec.Struct, frozen=True):
    """What an answer says about an object besides its encryption."""

    headers: Mapping[str, str]
    user: Mapping[str, str]
    overrides: Mapping[str, str] = msgspec.field(default_factory=dict)


def object_headers(shown: Shown, *, etag: str, modified: int) -> list[tuple[str, str]]:
    """Return the headers of an object's answer; modified in nanoseconds."""
    answer = [("ETag", f'"{etag}"'), ("Last-Modified", http_date(modified // 1_000_000_000))]
    headers = shown.headers
    if shown.overrides:  # decoded from the query; what is stored is a header's value already
        headers = {**headers, **{name: header_value(value) for name, value in shown.overrides.items()}}
    for name, value in headers.items():
        answer.append((SHOWN.get(name, name), value))
    for name, value in shown.user.items():
        answer.append((name, header_text(value)))
    return answer


def lock_headers(lock: Lock) -> list[tuple[str, str]]:
    """Return the headers that show retention and legal hold."""
    answer = []
    if lock.mode:
        answer += [("x-amz-object-lock-mode", lock.mode), ("x-amz-object-lock-retain-until-date", iso_time(lock.until))]
    if lock.hold is not None:
        answer.append(("x-amz-object-lock-legal-hold", "ON" if lock.hold else "OFF"))
    return answer


def iso_time(nanoseconds: int) -> str:
    """Return a time as XML documents write it: 2026-01-02T03:04:05.678Z."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_iso_seconds(seconds)}.{rest // 1_000_000:03d}Z"


@lru_cache(maxsize=1024)
def _iso_seconds(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
