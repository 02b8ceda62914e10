"""What an S3 server refuses with, as exceptions (mc.md 5.2, s3.md 10)."""

from collections.abc import Mapping

from strongroom.errors import AlreadyExists, Conflict, Denied, Error, Malformed, NotFound, NotSupported, Unavailable
from strongroom.sdk.s3_xml import parse


class S3Error(Error):
    """A server's refusal. `code` and `message` are the server's; the rest may be empty."""

    def __init__(self, code: str, message: str, *, status: int = 0, bucket: str = "", key: str = "",
                 resource: str = "", request_id: str = "", host_id: str = "", region: str = "",
                 server: str = "") -> None:  # fmt: skip
        super().__init__(message)
        self.code, self.message, self.status = code, message, status
        self.bucket, self.key, self.resource = bucket, key, resource
        self.request_id, self.host_id, self.region, self.server = request_id, host_id, region, server


class NoSuchBucket(S3Error, NotFound):
    """The bucket is missing."""


class NoSuchKey(S3Error, NotFound):
    """The object, or the version, is missing."""


class NoSuchConfiguration(S3Error, NotFound):
    """The bucket has no configuration of the kind that was asked for."""


class AccessDenied(S3Error, Denied):
    """The credentials do not permit this."""


class WrongCredentials(S3Error, Denied):
    """The access key is unknown, or its secret is another one."""


class Taken(S3Error, AlreadyExists):
    """The bucket exists already."""


class PreconditionFailed(S3Error, Conflict):
    """A condition of the request did not hold."""


class Busy(S3Error, Unavailable):
    """The server cannot answer now."""


class Missing(S3Error, NotSupported):
    """The server does not have this function."""


CLASSES: Mapping[str, type[S3Error]] = {
    "NoSuchBucket": NoSuchBucket,
    "NoSuchKey": NoSuchKey,
    "NoSuchVersion": NoSuchKey,
    "NoSuchTagSet": NoSuchConfiguration,
    "NoSuchBucketPolicy": NoSuchConfiguration,
    "NoSuchLifecycleConfiguration": NoSuchConfiguration,
    "NoSuchCORSConfiguration": NoSuchConfiguration,
    "NoSuchObjectLockConfiguration": NoSuchConfiguration,
    "ObjectLockConfigurationNotFoundError": NoSuchConfiguration,
    "ReplicationConfigurationNotFoundError": NoSuchConfiguration,
    "ServerSideEncryptionConfigurationNotFoundError": NoSuchConfiguration,
    "AccessDenied": AccessDenied,
    "InvalidAccessKeyId": WrongCredentials,
    "SignatureDoesNotMatch": WrongCredentials,
    "BucketAlreadyOwnedByYou": Taken,
    "BucketAlreadyExists": Taken,
    "PreconditionFailed": PreconditionFailed,
    "SlowDown": Busy,
    "ServiceUnavailable": Busy,
    "NotImplemented": Missing,
    "XMinioAdminVersionMismatch": Missing,
}

BARE = {
    400: ("BadRequest", "Bad Request"),
    403: ("AccessDenied", "Access Denied."),
    405: ("MethodNotAllowed", "The specified method is not allowed against this resource."),
    409: ("Conflict", "Conflict"),
    412: ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold"),
    501: ("NotImplemented", "A header you provided implies functionality that is not implemented"),
    503: ("ServiceUnavailable", "Service Unavailable"),
}


NO_KEY = ("NoSuchKey", "The specified key does not exist.")


def make(code: str, message: str, **details: object) -> S3Error:
    """Return the class that stands for code."""
    return CLASSES.get(code, S3Error)(code, message, **details)  # type: ignore[arg-type]  # keyword names are ours


def from_answer(status: int, headers: Mapping[str, str], body: bytes, bucket: str, key: str) -> S3Error:
    """Read a refusal: an XML or JSON body, else MinIO's error headers, else the status (mc.md 5.2)."""
    common = {"status": status, "request_id": headers.get("x-amz-request-id", ""),
              "host_id": headers.get("x-amz-id-2", ""), "region": headers.get("x-amz-bucket-region", "")}  # fmt: skip
    fields = _fields(body)
    if fields.get("Code"):
        common["request_id"] = fields.get("RequestId", "") or common["request_id"]
        common["host_id"] = fields.get("HostId", "") or common["host_id"]
        common["region"] = fields.get("Region", "") or common["region"]
        return make(fields["Code"], fields.get("Message", ""), bucket=fields.get("BucketName", ""),
                    key=fields.get("Key", ""), resource=fields.get("Resource", ""),
                    server=headers.get("server", ""), **common)  # fmt: skip
    code, message = BARE.get(status, (str(status), f"{status}"))
    if b"HTTP request to an HTTPS server" in body:  # what TLS servers say to those who do not speak TLS
        message = "Client sent an HTTP request to an HTTPS server."
    if status == 404:
        missing = "NoSuchKey" if key else "NoSuchBucket"
        texts = {
            "NoSuchKey": "The specified key does not exist.",
            "NoSuchBucket": "The specified bucket does not exist",
        }
        code, message = missing, texts[missing]
    code = headers.get("x-minio-error-code", code)
    message = headers.get("x-minio-error-desc", message).strip('"')
    return make(code, message, bucket=bucket, key=key, **common)


def _fields(body: bytes) -> dict[str, str]:
    if body.lstrip()[:1] == b"{":
        import json  # admin answers only

        try:
            found = json.loads(body)
        except ValueError:
            return {}
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
    try:
        return {node.name: node.text for node in parse(body).children} if body else {}
    except Malformed:
        return {}
