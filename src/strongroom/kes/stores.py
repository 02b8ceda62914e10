"""Makes the key store that the settings describe."""

from collections.abc import Awaitable, Callable

from strongroom.errors import BadSettings
from strongroom.kes.domain.ports import KeyStore
from strongroom.kes.domain.settings import (
    AwsSettings,
    AzureSettings,
    ForeignSettings,
    FsSettings,
    GcpSettings,
    KesSettings,
    MemorySettings,
    StoreSettings,
    VaultSettings,
)
from strongroom.kes.storage.fs import FileStore
from strongroom.kes.storage.memory import MemoryStore

Warn = Callable[[str], None]


async def open_store(settings: StoreSettings, warn: Warn) -> KeyStore:
    """Return a store that is ready; raise BadSettings or Unavailable when it cannot be had.

    The libraries of the stores in the cloud are imported only when one is used.
    """
    return await _OPENERS[type(settings)](settings, warn)


async def _fs(settings: FsSettings, warn: Warn) -> KeyStore:
    return FileStore(settings.path)


async def _memory(settings: MemorySettings, warn: Warn) -> KeyStore:
    return MemoryStore()


async def _vault(settings: VaultSettings, warn: Warn) -> KeyStore:
    from strongroom.kes.storage.vault import VaultStore

    return await VaultStore.connect(settings, warn)


async def _aws(settings: AwsSettings, warn: Warn) -> KeyStore:
    from strongroom.kes.outside.aws import AwsStore

    return await AwsStore.connect(settings)


async def _gcp(settings: GcpSettings, warn: Warn) -> KeyStore:
    from strongroom.kes.outside.gcp import GcpStore

    return await GcpStore.connect(settings)


async def _azure(settings: AzureSettings, warn: Warn) -> KeyStore:
    from strongroom.kes.outside.azure import AzureStore

    return await AzureStore.connect(settings)


async def _kes(settings: KesSettings, warn: Warn) -> KeyStore:
    from strongroom.kes.outside.kes import KesStore

    return await KesStore.connect(settings)


async def _foreign(settings: ForeignSettings, warn: Warn) -> KeyStore:
    raise BadSettings(
        f"keystore {settings.kind}: this store is not supported; copy its keys into another one with the `kes migrate` "
        "of an original KES, then name that one here"
    )


_OPENERS: dict[type, Callable[..., Awaitable[KeyStore]]] = {
    FsSettings: _fs,
    MemorySettings: _memory,
    VaultSettings: _vault,
    AwsSettings: _aws,
    GcpSettings: _gcp,
    AzureSettings: _azure,
    KesSettings: _kes,
    ForeignSettings: _foreign,
}
