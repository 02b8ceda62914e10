"""The headers of server-side encryption, in and out (sse.md 5-7). Form fields of a POST have the same names.

Names of headers are lower case here, as `Request.headers` has them.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NoReturn

from strongroom.crypto import context as contexts
from strongroom.crypto.secret import Secret
from strongroom.s3.domain.encryption import DUAL, Encryption, Kind, strip_arn, with_arn
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import SealInfo

METHOD = "x-amz-server-side-encryption"
KEY_ID = METHOD + "-aws-kms-key-id"
CONTEXT = METHOD + "-context"
BUCKET_KEY = METHOD + "-bucket-key-enabled"
_CUSTOMER = METHOD + "-customer-"
_SOURCE = "x-amz-copy-source-server-side-encryption-customer-"
CUSTOMER_HEADERS = tuple(_CUSTOMER + part for part in ("algorithm", "key", "key-md5"))
SOURCE_HEADERS = tuple(_SOURCE + part for part in ("algorithm", "key", "key-md5"))
_CUSTOMERS, _SOURCES = frozenset(CUSTOMER_HEADERS), frozenset(SOURCE_HEADERS)

_KMS_METHODS = (str(Kind.KMS), DUAL)

INSECURE = (
    "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection."
)
INCOMPATIBLE = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
KMS_HEADER_MISSING = (
    "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
)
BAD_KEY_ID = "The specified KMS KeyID contains unsupported characters"
NOT_APPLICABLE = "The encryption parameters are not applicable to this object."
PARAMETERS_NEEDED = (
    "The object was stored using a form of Server Side Encryption. "
    "The correct parameters must be provided to retrieve the object."
)
PART_PARAMETERS_NEEDED = (
    "The multipart upload initiate requested encryption. "
    "Subsequent part requests must include the appropriate encryption parameters."
)


class Operation(Enum):
    """Which of the original's three ways to word a refusal applies (sse.md 6.2)."""

    PUT = "put"  # PutObject, POST forms
    CREATE = "create"  # CreateMultipartUpload
    COPY = "copy"  # CopyObject's destination


class Fault(Enum):
    """What is wrong with a customer key: the usual code and text, and the text in the wrapped form of PutObject."""

    ALGORITHM = (
        "InvalidArgument",
        "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption "
        "algorithm.",
        "The SSE-C algorithm is not supported",
    )
    NO_KEY = (
        "InvalidArgument",
        "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate secret "
        "key.",
        "The SSE-C request is missing the customer key",
    )
    NO_MD5 = (
        "InvalidArgument",
        "Requests specifying Server Side Encryption with Customer provided keys must provide the client calculated "
        "MD5 of the secret key.",
        "The SSE-C request is missing the customer key MD5",
    )
    KEY = ("AccessDenied", "Access Denied.", "The SSE-C client key is invalid")
    MD5 = (
        "InvalidArgument",
        "The calculated MD5 hash of the key did not match the hash that was provided.",
        "The provided SSE-C key MD5 does not match the computed MD5 of the SSE-C key",
    )


BAD_METHOD = "The encryption method is not supported"


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """A key that the client brought: 32 bytes, and the base64 of its MD5 as sent."""

    key: Secret
    md5: str = field(default="")


def refuse_insecure(headers: Mapping[str, str], secure: bool) -> None:
    """Refuse customer keys on a connection without TLS, before the request is looked at any further."""
    if not secure and not (_CUSTOMERS.isdisjoint(headers) and _SOURCES.isdisjoint(headers)):
        raise Refused("InvalidRequest", INSECURE, early=True)


def refuse_on_read(headers: Mapping[str, str]) -> None:
    """Refuse SSE-S3 and SSE-KMS headers on GET, HEAD and Select: reading needs none."""
    if asks_s3(headers) or asks_kms(headers):
        raise Refused("BadRequest")


def asks_s3(headers: Mapping[str, str]) -> bool:
    """Say whether SSE-S3 is requested; any unknown method counts as well."""
    return METHOD in headers and headers[METHOD].lower() not in _KMS_METHODS


def asks_kms(headers: Mapping[str, str]) -> bool:
    """Say whether SSE-KMS is requested: by the method, a key id or a context."""
    return KEY_ID in headers or CONTEXT in headers or (METHOD in headers and headers[METHOD].upper() != Kind.S3)


def asks_customer(headers: Mapping[str, str]) -> bool:
    """Say whether SSE-C is requested: by any of its headers."""
    return not _CUSTOMERS.isdisjoint(headers)


def parse_write(headers: Mapping[str, str], operation: Operation, bucket: str, key: str) -> Encryption | None:
    """Return the encryption that a write asks for; None when it asks for none. Raises Refused."""
    s3, kms, customer = asks_s3(headers), asks_kms(headers), asks_customer(headers)
    if not (s3 or kms or customer):
        return None
    _refuse_conflicts(headers, operation, s3, kms, customer)
    if s3 or kms:
        if s3 and kms:  # a method that is neither, or AES256 with a key id or a context
            _refuse_wrapped(bucket, key, BAD_METHOD)
        return _parse_kms(headers, bucket, key) if kms else Encryption(Kind.S3, bucket_key=_bucket_key(headers))
    brought = _parse_customer(headers, _CUSTOMER, (bucket, key) if operation is Operation.PUT else None)
    return Encryption(Kind.C, customer_key=brought.key, customer_md5=brought.md5)


def _refuse_conflicts(headers: Mapping[str, str], operation: Operation, s3: bool, kms: bool, customer: bool) -> None:
    """Refuse a customer key beside another method. What comes without a method at all is judged after this."""
    named = METHOD in headers
    if customer and (named or (kms and operation is Operation.CREATE)):
        raise Refused("InvalidArgument", INCOMPATIBLE)
    if operation is Operation.CREATE and kms and headers.get(METHOD) not in _KMS_METHODS and not s3:
        raise Refused("InvalidArgument", KMS_HEADER_MISSING)


def _parse_kms(headers: Mapping[str, str], bucket: str, key: str) -> Encryption:
    if headers.get(METHOD) not in _KMS_METHODS:
        _refuse_wrapped(bucket, key, BAD_METHOD)
    key_id = headers.get(KEY_ID, "")
    if key_id != key_id.strip(" "):
        raise Refused("InvalidRequest", BAD_KEY_ID)
    context: dict[str, str] = {}
    if CONTEXT in headers:
        try:
            context = parse_context(headers[CONTEXT])
        except ValueError as error:
            _refuse_wrapped(bucket, key, str(error))
    dual = headers[METHOD] == DUAL
    return Encryption(Kind.KMS, strip_arn(key_id), context, bucket_key=_bucket_key(headers), dual=dual)


def parse_context(text: str) -> dict[str, str]:
    """Return an encryption context from base64 of a JSON object of strings; raise ValueError saying what is wrong."""
    try:
        document = json.loads(_base64(text))
    except binascii.Error as error:
        raise ValueError("the encryption context is not base64") from error
    except (ValueError, RecursionError) as error:
        raise ValueError("the encryption context is not JSON") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise ValueError("the encryption context is not a JSON object of strings")
    return {_scalar(name): _scalar(value) for name, value in document.items()}


def _scalar(text: str) -> str:
    """Replace lone surrogates, which JSON can write and UTF-8 cannot, as the original's parser does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not text.isascii() else text


def _bucket_key(headers: Mapping[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(headers.get(BUCKET_KEY, "").lower())


def parse_customer_key(headers: Mapping[str, str]) -> CustomerKey | None:
    """Return the customer key of a read or a part; None when there is none. Raises Refused."""
    return _parse_customer(headers, _CUSTOMER, None) if asks_customer(headers) else None


def parse_source_key(headers: Mapping[str, str]) -> CustomerKey | None:
    """Return the customer key of a copy's source; None when there is none. Raises Refused."""
    return None if _SOURCES.isdisjoint(headers) else _parse_customer(headers, _SOURCE, None)


def _parse_customer(headers: Mapping[str, str], prefix: str, wrap: tuple[str, str] | None) -> CustomerKey:
    text, md5 = headers.get(prefix + "key", ""), headers.get(prefix + "key-md5", "")
    if headers.get(prefix + "algorithm") != Kind.S3:  # AES256, case and all
        _refuse_key(Fault.ALGORITHM, wrap)
    if not text:
        _refuse_key(Fault.NO_KEY, wrap)
    if not md5:
        _refuse_key(Fault.NO_MD5, wrap)
    try:
        key = _base64(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        _refuse_key(Fault.KEY, wrap)
    digest = base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest())
    if not hmac.compare_digest(digest, md5.encode("utf-8", "replace")):
        _refuse_key(Fault.MD5, wrap)
    return CustomerKey(Secret(key), md5)


def source_algorithm_missing() -> Refused:
    """Return the refusal of a copy that brings a customer key for its destination, and none for its source."""
    return Refused(*Fault.ALGORITHM.value[:2])


def _base64(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii", "replace"), validate=True)


def _refuse_key(fault: Fault, wrap: tuple[str, str] | None) -> NoReturn:
    code, text, wrapped = fault.value
    if wrap is not None:
        _refuse_wrapped(*wrap, wrapped)
    raise Refused(code, text)


def _refuse_wrapped(bucket: str, key: str, detail: str) -> NoReturn:
    raise Refused("InvalidArgument", f"Invalid arguments provided for {bucket}/{key}: ({detail})")


def check_read(info: SealInfo, brought: CustomerKey | None) -> None:
    """Refuse a read whose parameters do not fit the object's kind; before preconditions (sse.md 6.4)."""
    if not info.encrypted:
        if brought is not None:
            raise Refused("InvalidRequest", NOT_APPLICABLE)
    elif (info.kind is Kind.C) != (brought is not None):
        raise Refused("InvalidRequest", PARAMETERS_NEEDED)


def check_source(info: SealInfo, brought: CustomerKey | None) -> CustomerKey | None:
    """Return the key to open a copy's source with; refuse what does not fit its kind (sse.md 6.5)."""
    if info.kind is Kind.S3 and brought is not None:
        raise Refused("InvalidArgument", INCOMPATIBLE)
    if info.kind is Kind.KMS:
        return None  # a key that is not needed is ignored here
    check_read(info, brought)
    return brought


def check_part(info: SealInfo, brought: CustomerKey | None) -> None:
    """Refuse a part whose parameters do not fit its upload.

    The original stores a part that brings a customer key to a plain upload in clear; AWS and we refuse it.
    """
    if (info.kind is Kind.C) != (brought is not None):
        raise Refused("InvalidRequest", PART_PARAMETERS_NEEDED if info.encrypted else NOT_APPLICABLE)


def response_headers(info: SealInfo, customer_md5: str = "") -> list[tuple[str, str]]:
    """Return the headers that tell a client how an object is encrypted; none for a plain one."""
    if info.kind is None:
        return []
    if info.kind is Kind.C:
        return [
            ("X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256"),
            ("X-Amz-Server-Side-Encryption-Customer-Key-Md5", customer_md5),
        ]
    headers = [("X-Amz-Server-Side-Encryption", DUAL if info.dual else str(info.kind))]
    if info.kind is Kind.KMS:
        headers.append(("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", with_arn(info.key_name)))
        if info.context:
            encoded = base64.b64encode(contexts.canonical(info.context)).decode()
            headers.append(("X-Amz-Server-Side-Encryption-Context", encoded))
        if info.bucket_key:
            headers.append(("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true"))
    return headers
