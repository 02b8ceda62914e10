"""How errors look on the wire (kes.md 1.2). Status and text are protocol: clients compare both."""

import json

import msgspec

from strongroom.errors import Denied as SharedDenied
from strongroom.errors import Error, Incomplete, Malformed, TooLarge, row
from strongroom.errors import NotFound as SharedNotFound
from strongroom.errors import Tampered as SharedTampered
from strongroom.errors import Unavailable as SharedUnavailable
from strongroom.kes.domain import errors as kes

UNAUTHENTIC = "decryption failed: ciphertext is not authentic"

TEXTS: dict[type[Error], tuple[int, str]] = {
    kes.NoCertificate: (400, "tls: client certificate is required"),
    kes.ManyCertificates: (400, "tls: received more than one client certificate"),
    kes.BadForwarding: (400, "{0}"),
    kes.Unverified: (403, ""),
    kes.BadKeyName: (400, "key name '{0}' is empty, too long or contains invalid characters"),
    kes.BadPolicyName: (400, "policy name '{0}' is empty, too long or contains invalid characters"),
    kes.BadIdentity: (400, "identity '{0}' is empty, too long or contains invalid characters"),
    kes.BadPattern: (400, "listing pattern '{0}' is empty, too long or is invalid"),
    kes.BadImport: (400, "invalid import key request body"),
    kes.BadCipher: (406, "algorithm '{0}' is not supported"),
    kes.BadKeySize: (406, "invalid key size for '{0}'"),
    kes.KeyNotFound: (404, "key does not exist"),
    kes.KeyExists: (400, "key already exists"),
    kes.SecretNotFound: (404, "secret does not exist"),
    kes.SecretExists: (404, "secret already exists"),
    kes.OtherKey: (400, "decryption failed: sealed by fingerprint {0}, this key is {1}"),
    kes.NotAuthentic: (400, UNAUTHENTIC),
    kes.NoHmacKey: (409, "key does not support HMAC"),
    kes.WrongState: (409, "{0}"),
    kes.KeyPendingDeletion: (403, "key is waiting for its deletion"),
    kes.KeyDisabled: (403, "key is disabled"),
    kes.PolicyNotFound: (404, "policy does not exist"),
    kes.IdentityNotFound: (404, "identity does not exist"),
    kes.TooManyCiphertexts: (400, "too many ciphertexts"),
    SharedDenied: (403, "not authorized: insufficient permissions"),
    SharedTampered: (400, UNAUTHENTIC),
    SharedNotFound: (404, "key does not exist"),
    TooLarge: (400, "invalid request body"),
    Incomplete: (400, "invalid request body"),
    Malformed: (400, "invalid request body"),
    kes.OperationFailed: (502, "{0}"),
    kes.StoreUnreachable: (504, "key store is not reachable"),
    SharedUnavailable: (502, "key store is unavailable"),
    Error: (500, "internal error"),
}

# What a client makes of an answer. Older servers' words are among them (kes.md 1.2, end).
_KNOWN: dict[tuple[int, str], type[Error]] = {
    (404, "key does not exist"): kes.KeyNotFound,
    (400, "key does not exist"): kes.KeyNotFound,
    (400, "key already exists"): kes.KeyExists,
    (400, "key does already exist"): kes.KeyExists,
    (404, "secret does not exist"): kes.SecretNotFound,
    (404, "secret already exists"): kes.SecretExists,
    (400, UNAUTHENTIC): kes.NotAuthentic,
    (400, "ciphertext is not authentic"): kes.NotAuthentic,
    (403, "key is disabled"): kes.KeyDisabled,
    (403, "key is waiting for its deletion"): kes.KeyPendingDeletion,
    (403, "key store is sealed"): kes.StoreUnreachable,
    (404, "policy does not exist"): kes.PolicyNotFound,
    (404, "identity does not exist"): kes.IdentityNotFound,
    (409, "key does not support HMAC"): kes.NoHmacKey,
    (504, "key store is not reachable"): kes.StoreUnreachable,
}
_BY_STATUS: dict[int, type[Error]] = {
    401: SharedDenied,
    403: SharedDenied,
    404: SharedNotFound,
    409: kes.WrongState,
    502: kes.StoreFailed,
    503: SharedUnavailable,
    504: kes.StoreUnreachable,
}


def status_and_text(error: Error) -> tuple[int, str]:
    """Return the status and the text that a client gets for error."""
    status, text = row(TEXTS, error)
    return status, text.format(*error.args) if "{" in text else text


def from_answer(status: int, content_type: str, body: bytes) -> Error:
    """Return the error that a server's answer means; its message is the server's text."""
    text = _text(content_type, body)
    kind = _KNOWN.get((status, text)) or _BY_STATUS.get(status)
    if kind is None:
        kind = Malformed if 400 <= status < 500 else SharedUnavailable
    if text.startswith("decryption failed: sealed by fingerprint "):
        kind = kes.NotAuthentic
    return kind(text or f"HTTP status {status}")


def _text(content_type: str, body: bytes) -> str:
    """Return an error body's text: `error`, else `message` of a JSON object, else the body itself (kes.md 1.2)."""
    if content_type.startswith("application/json"):
        try:
            document = json.loads(body)
        except ValueError:
            return ""
        if isinstance(document, dict):
            return str(document.get("error") or document.get("message") or "")
    return body[:4096].decode(errors="replace").strip()


def error_body(text: str) -> bytes:
    """Return the JSON body for an error text, HTML-safe and with the newline that the original has.

    Half a surrogate pair, which a client's JSON may hold and UTF-8 may not, becomes U+FFFD as in Go.
    """
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return b'{"message":' + html_safe(msgspec.json.encode(text)) + b"\n}"


def html_safe(data: bytes) -> bytes:
    """Escape what Go's JSON encoder escapes in strings and others leave (kes.md 1.2)."""
    for raw, escaped in _ESCAPES:
        if raw in data:
            data = data.replace(raw, escaped)
    return data


_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
