"""Why a data key is not to be had, with the code each has on the S3 wire (sse.md 7; docs/reference/s3.md)."""

from strongroom import errors
from strongroom.s3.domain.refusals import Refused


class KeyNotFound(Refused, errors.NotFound):
    """The key service has no key of this name."""

    def __init__(self, message: str = "") -> None:
        super().__init__("kms:KeyNotFound")
        self.detail = message


class KeyForbidden(Refused, errors.Denied):
    """The key service does not let this server use the key. detail, for the log, names the missing policy path."""

    def __init__(self, message: str = "") -> None:
        super().__init__("kms:NotAuthorized")
        self.detail = message


class KeyDisabled(Refused, errors.Denied):
    """The key is locked, or waits for its deletion. Status 400, as AWS; the original has no such state."""

    def __init__(self, message: str = "") -> None:
        super().__init__("KMS.DisabledException")
        self.detail = message


class WrongCiphertext(Refused, errors.Tampered):
    """A sealed data key does not open: another key under that name, another address, changed bytes."""

    def __init__(self, message: str = "") -> None:
        super().__init__("kms:InvalidCiphertextException")
        self.detail = message


GENERATE, DECRYPT = "kms:KeyGenerationFailed", "kms:DecryptionFailed"


class KeyServiceFailed(Refused):
    """The key service answered, but not with a key; code is GENERATE or DECRYPT."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.detail = message


class KeyServiceAway(Refused, errors.Unavailable):
    """The key service does not answer. Status 503 where the original says 500, so that clients try again."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, status=503)
        self.detail = message


_NO_KMS = "Server side encryption specified but KMS is not configured"


class NoKeyService(Refused, errors.NotSupported):
    """No key service is configured."""

    def __init__(self, *, bucket_configuration: bool = False) -> None:
        detail = "" if bucket_configuration else " (KMS not configured for a server side encrypted objects)"
        super().__init__("NotImplemented", _NO_KMS + detail)


class DamagedMetadata(Refused, errors.Malformed):
    """What lies beside an object is not what sealing writes."""

    def __init__(self, text: str) -> None:
        super().__init__("XMinioEncryptionError", text)


class ObjectTampered(Refused, errors.Tampered):
    """An object's bytes, size, parts or metadata were changed, or its seal is of no known kind."""

    def __init__(self, message: str = "") -> None:
        super().__init__("XMinioObjectTampered")
        self.detail = message


class WrongKey(Refused, errors.Denied):
    """The object key does not open with this key: a wrong customer key, or a seal that was moved or changed."""

    def __init__(self, message: str = "") -> None:
        super().__init__("AccessDenied")
        self.detail = message
