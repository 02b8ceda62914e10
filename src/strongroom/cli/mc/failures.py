"""What mc says when something fails: texts that scripts look for (mc.md 2.4), from exceptions of every layer."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from strongroom.errors import Error, Incomplete
from strongroom.sdk.s3_call import Lost
from strongroom.sdk.s3_errors import AccessDenied, NoSuchBucket, NoSuchKey, S3Error

INVALID = "Invalid arguments provided, please refer `mc <command> -h` for relevant documentation."


@dataclass(frozen=True, slots=True)
class Cause:
    """Why: the text, and what `--json` shows as `cause.error`."""

    text: str = ""
    record: dict[str, object] = field(default_factory=dict)


class Failed(Error):
    """One thing went wrong, with a typed cause; the command may go on with others."""

    def __init__(self, text: str, record: dict[str, object] | None = None) -> None:
        super().__init__(text)
        self.cause = Cause(text, record or {})


class Fatal(Error):
    """The command ends here, exit code 1."""

    def __init__(self, message: str, cause: "Cause | Exception | str" = "") -> None:
        super().__init__(message)
        self.message, self.cause = message, cause_of(cause)


def missing_object() -> Failed:
    """Say that there is no such object."""
    return Failed("Object does not exist")


def missing_path(path: str | Path) -> Failed:
    """Say that a local path is missing."""
    return Failed(f"Requested path `{path}` not found", {"Path": str(path)})


def no_alias(word: str) -> str:
    """Return the advice for a URL, or an unknown name, where an alias is needed."""
    return f"Use `mc alias set mycloud {word} ...` to add an alias. Use the alias for S3 operations."


def cause_of(reason: "Cause | Exception | str") -> Cause:
    """Return the cause that an exception, or a ready text, stands for."""
    if isinstance(reason, Cause):
        return reason
    if isinstance(reason, str):
        return Cause(reason)
    for kind, make in _KINDS:
        if isinstance(reason, kind):
            return make(reason)
    return Cause(str(reason))


def s3_text(error: S3Error) -> str:
    """Return the server's message, with what to do about it where we know more than the server."""
    if error.code == "RequestTimeTooSkewed":
        return f"{error.message} Set this machine's clock (or the server's): they differ by more than 15 minutes."
    if error.message.endswith("to an HTTPS server."):
        return f"{error.message} Give its alias an address with https://"
    return error.message or error.code


def _s3_record(error: S3Error) -> dict[str, object]:
    admin = error.resource.startswith("/minio/")
    record: dict[str, object] = {"Code": error.code, "Message": error.message, "BucketName": error.bucket,
                                 "Key": error.key}  # fmt: skip
    if not admin:
        record["Resource"] = error.resource
    record.update(RequestID=error.request_id, HostID=error.host_id, Region=error.region)
    if not admin:
        record["Server"] = error.server
    return record


def _lost_text(error: Lost) -> str:
    if error.untrusted and "unknown authority" in error.reason:
        return f"{error.reason}. Trust its CA with --ca FILE, or put the file into the folder certs/CAs of the configuration folder"  # noqa: E501
    if "WRONG_VERSION_NUMBER" in error.reason:
        return "http: server gave HTTP response to HTTPS client. Give its alias an address with http://"
    return error.reason


def _lost_record(error: Lost) -> dict[str, object]:
    record: dict[str, object] = {"Op": error.op, "URL": error.url}
    if error.refused:
        host, _, port = error.url.partition("://")[2].partition("/")[0].rpartition(":")
        address = {"IP": error.address or host, "Port": int(port) if port.isdecimal() else 0, "Zone": ""}
        record["Err"] = {"Op": "dial", "Net": "tcp", "Source": None, "Addr": address,
                         "Err": {"Syscall": "connect", "Err": error.number}}  # fmt: skip
    else:
        record["Err"] = {}
    return record


def _os_cause(error: OSError) -> Cause:
    name = error.filename if isinstance(error.filename, str) else str(error.filename or "")
    path = str(Path(name).absolute()) if name else ""
    if error.errno == errno.ENOENT:
        return Cause(f"Requested path `{path}` not found", {"Path": path})
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Cause(f"Insufficient permissions to access this path `{path}`", {"Path": path})
    words = (error.strerror or str(error)).lower()
    return Cause(f"{path}: {words}" if path else words)


def typed(error: Exception, *, bucket: str, url: str) -> Exception:
    """Return the failure that mc names for a refusal of one object or bucket (mc.md 2.4), else error itself."""
    if isinstance(error, NoSuchBucket):
        return Failed(f"Bucket `{bucket}` does not exist.", {"Bucket": bucket})
    if isinstance(error, NoSuchKey) and error.code == "NoSuchKey":
        return missing_object()
    if isinstance(error, AccessDenied):
        return Failed(f"Insufficient permissions to access this path `{url}`", {"Path": url})
    return error


_KINDS: tuple[tuple[type[Exception], Callable[..., Cause]], ...] = (
    (Failed, lambda error: error.cause),
    (S3Error, lambda error: Cause(s3_text(error), _s3_record(error))),
    (Lost, lambda error: Cause(_lost_text(error), _lost_record(error))),
    (OSError, _os_cause),
    (Incomplete, lambda error: Cause(f"The transfer broke off: {error}")),
)
