"""The admin API's wire: paths under /minio/admin and /minio/kms, JSON errors, times (sse.md 12.1, mc.md 10)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from strongroom import errors
from strongroom.messages import Response
from strongroom.s3.domain.iam import directory
from strongroom.s3.domain.key_errors import NoKeyService
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire.errors import refusal, status_and_text

ADMIN = "/minio/admin/"
KMS = "/minio/kms/"
_JSON = ("Content-Type", "application/json")

CODES: Mapping[str, tuple[int, str]] = {
    "XMinioAdminConfigBadJSON": (400, "JSON configuration provided is of incorrect format"),
    "XMinioAdminInvalidAccessKey": (400, "The access key is invalid."),
    "XMinioAdminInvalidArgument": (400, "Invalid arguments specified."),
    "XMinioAdminInvalidSecretKey": (400, "The secret key is invalid."),
    "XMinioAdminNoSuchGroup": (404, "The specified group does not exist. (Specified group does not exist)"),
    "XMinioAdminNoSuchJob": (404, "The specified job does not exist."),
    "XMinioAdminNoSuchPolicy": (404, "The canned policy does not exist. (Specified canned policy does not exist)"),
    "XMinioAdminNoSuchUser": (404, "The specified user does not exist. (Specified user does not exist)"),
    "XMinioInvalidIAMCredentials": (
        404,
        "The specified service account is not found (Specified service account does not exist)",
    ),
    "XMinioAdminPolicyChangeAlreadyApplied": (
        400,
        "The specified policy change is already in effect. (Specified policy update has no net effect)",
    ),
    "XMinioAdminGroupNotEmpty": (400, "The specified group is not empty - cannot remove it."),
    "XMinioAdminVersionMismatch": (426, "This 'admin' API is not supported by server in 'mode-server-xl-single'"),
    "XMinioIAMActionNotAllowed": (400, "The specified IAM action is not allowed with the current configuration."),
    "XMinioIAMPolicyInUse": (400, "The specified policy is still attached; detach it first."),
    "XMinioKMSKeyExists": (409, "key with given key ID already exits"),
    "XMinioMalformedIAMPolicy": (400, "Policy has invalid resource"),
    "MalformedPOSTRequest": (400, "The body of your POST request is not well-formed multipart/form-data."),
}
_KINDS: Mapping[type[errors.Error], str] = {
    directory.NoSuchUser: "XMinioAdminNoSuchUser",
    directory.NoSuchGroup: "XMinioAdminNoSuchGroup",
    directory.NoSuchPolicy: "XMinioAdminNoSuchPolicy",
    directory.NoSuchAccount: "XMinioInvalidIAMCredentials",
}


def refused(code: str, text: str | None = None) -> Refused:
    """Return the refusal of an admin code with its recorded status and text."""
    status, usual = CODES[code]
    return Refused(code, text or usual, status=status)


def mismatch(path: str) -> Refused:
    """Return the refusal of a path that is not served: an older API version is named."""
    version = path.removeprefix(ADMIN).partition("/")[0]
    if version in {"v1", "v2"}:
        return refused(
            "XMinioAdminVersionMismatch",
            f"Server expects client requests with 'admin' API version 'v3', found '{version}', "
            "please upgrade the client to latest releases",
        )
    return refused("XMinioAdminVersionMismatch")


def to_refusal(error: errors.Error) -> Refused:
    """Return what an admin client gets for an error."""
    if isinstance(error, NoKeyService):
        return Refused("NotImplemented", "Server side encryption specified but KMS is not configured")
    if isinstance(error, errors.NotSupported) and not isinstance(error, Refused):
        return Refused("NotImplemented", str(error))
    code = next((_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS), None)
    return refused(code) if code else refusal(error)


def render_error(error: Refused, path: str, request_id: str, host_id: str) -> Response:
    """Return the JSON form of an error."""
    status, text = status_and_text(error)
    record = {"Code": error.code, "Message": text, "Resource": path, "RequestId": request_id, "HostId": host_id}
    return Response(int(status or 500), [_JSON, *error.headers], to_json(record) + b"\n")


def render_json(record: Any) -> Response:
    """Return a JSON answer."""
    return Response(200, [_JSON], to_json(record))


def to_json(record: Any) -> bytes:
    """Return compact JSON, with `<`, `>` and `&` escaped as the original's encoder does."""
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def moment_of(text: str) -> float | None:
    """Return seconds since the epoch of an RFC 3339 time, None for anything else, and for what UTC cannot write."""
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def rfc3339(seconds: float) -> str:
    """Return a time as the admin API writes it, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_object(data: bytes) -> dict[str, Any]:
    """Read a JSON object; raise the recorded refusal for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise refused("XMinioAdminConfigBadJSON") from error
    if not isinstance(found, dict):
        raise refused("XMinioAdminConfigBadJSON")
    return found


def text_of(record: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return a text member ("" when absent); raise a refusal for another type."""
    value = record.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise refused("XMinioAdminConfigBadJSON")
    return value


def names_of(record: Mapping[str, Any], name: str) -> list[str]:
    """Return a list of texts; raise a refusal for another type."""
    value = record.get(name) or []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise refused("XMinioAdminConfigBadJSON")
    return value
