"""What a KES client raises, as the S3 box's own errors. Details are for the log, never for the client."""

from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.errors import AlreadyExists, Denied, Error, NotFound, NotSupported, Tampered, Unavailable
from strongroom.s3.domain.key_errors import (
    KeyDisabled,
    KeyForbidden,
    KeyNotFound,
    KeyServiceAway,
    KeyServiceFailed,
    WrongCiphertext,
)
from strongroom.sdk import kes_types


@contextmanager
def translated(code: str, path: str) -> Iterator[None]:
    """Translate. code: of the S3 error when the service fails; path: the KES path that a policy would have to allow."""
    try:
        yield
    except kes_types.KeyDisabled as error:
        raise KeyDisabled(f"{path}: {error}") from error
    except Denied as error:
        raise KeyForbidden(f"the key service's policy does not allow {path}") from error
    except NotFound as error:
        raise KeyNotFound(f"{path}: {error}") from error
    except Tampered as error:
        raise WrongCiphertext(f"{path}: {error}") from error
    except Unavailable as error:
        raise KeyServiceAway(code, f"{path}: {error}") from error
    except (AlreadyExists, NotSupported):
        raise
    except Error as error:
        raise KeyServiceFailed(code, f"{path}: {error}") from error
