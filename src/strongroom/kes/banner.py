"""What `kes server` prints when it starts (kes.md 10.2)."""

import platform
import socket

from strongroom.kes.domain.names import valid_name
from strongroom.kes.domain.settings import (
    OFF,
    AwsSettings,
    AzureSettings,
    FsSettings,
    GcpSettings,
    KesSettings,
    Settings,
    StoreSettings,
    VaultSettings,
)
from strongroom.observe.log import INFO, level_name

_TERMINAL, _PIPE, _SECOND = 20, 34, 12  # columns at which values start
_HEX = frozenset("0123456789abcdef")


def banner(settings: Settings, store: str, port: int, version: str, *, tty: bool, locked: bool = False,
           api_key: str = "") -> str:  # fmt: skip
    """Return the lines up to the last one; store is how the key store is called, api_key a development server's."""
    column = _TERMINAL if tty else _PIPE
    rows = [
        ("Version", f"{version:<24}commit={version}"),
        ("Runtime", f"{'python' + platform.python_version()} {platform.system().lower()}/{platform.machine()}"),
        ("License", f"{'Apache-2.0':<24}https://www.apache.org/licenses/LICENSE-2.0"),
        ("Copyright", "The Strongroom authors"),
        ("", ""),
        ("KMS", store),
        *_addresses(settings.host, port),
        ("", ""),
        ("Docs", "docs/reference/kes.md"),
        ("", ""),
        *([("API Key", api_key)] if api_key else []),
        ("Admin", settings.admin if _is_hex(settings.admin) else "<disabled>"),
        ("Logs", f"error=stderr level={level_name(settings.error_level)}"),
    ]
    lines = [f"{label:<{column}}{value}".rstrip() for label, value in rows]
    if settings.audit_level <= INFO and settings.audit_level < OFF:
        sink = settings.audit.file or "stdout"
        lines.append(f"{'':<{_SECOND}}audit={sink} level={level_name(settings.audit_level)}")
    if locked:
        lines.append(f"{'MLock':<{column}}enabled")
    return "\n".join(lines)


def _is_hex(identity: str) -> bool:
    return valid_name(identity) and bool(identity) and set(identity) <= _HEX


def _addresses(host: str, port: int) -> list[tuple[str, str]]:
    found = [host] if host not in {"", "0.0.0.0", "::"} else own_addresses()
    shown = [f"· https://{f'[{one}]' if ':' in one else one}:{port}" for one in found]
    return [("API" if not place else "", line) for place, line in enumerate(shown)]


def own_addresses() -> list[str]:
    """Return this machine's IPv4 addresses, the loopback's last."""
    found = ["127.0.0.1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): nothing is sent, the kernel picks our address
            found.insert(0, str(probe.getsockname()[0]))
        except OSError:
            return found
    return list(dict.fromkeys(found))


_STORES: dict[type, str] = {
    FsSettings: "Filesystem: {0.path}",
    VaultSettings: "Hashicorp Vault: {0.endpoint}",
    AwsSettings: "AWS SecretsManager: {0.endpoint}",
    GcpSettings: "GCP SecretManager: Project={0.project}",
    AzureSettings: "Azure KeyVault: {0.endpoint}",
    KesSettings: "MinIO KES: {0.endpoints[0]}",
}


def describe(store: StoreSettings) -> str:
    """Return how operators know a key store."""
    return _STORES.get(type(store), "In Memory").format(store)
