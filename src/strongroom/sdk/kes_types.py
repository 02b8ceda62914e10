"""What users of `KesClient` need beside it, for boxes that may not import the key server: its errors, API keys."""

from strongroom.kes.domain.errors import (
    BadKeyName,
    KeyDisabled,
    KeyExists,
    KeyNotFound,
    KeyPendingDeletion,
    NotAuthentic,
    OtherKey,
    StoreFailed,
    StoreUnreachable,
)
from strongroom.kes.wire.apikey import ApiKey

__all__ = [
    "ApiKey",
    "BadKeyName",
    "KeyDisabled",
    "KeyExists",
    "KeyNotFound",
    "KeyPendingDeletion",
    "NotAuthentic",
    "OtherKey",
    "StoreFailed",
    "StoreUnreachable",
]
