"""What people see when a kms server has started (vault.md 10.4)."""

from strongroom.kms.handlers.core import PROTOCOL_VERSION
from strongroom.kms.settings import Settings


def banner(settings: Settings, *, ha_enabled: bool) -> str:
    """Return what people see when a server has started (vault.md 10.4)."""
    rows = {
        "Api Address": settings.api_addr or "(derived)",
        "Log Level": settings.log_level,
        "Storage": settings.storage + (" (HA available)" if ha_enabled else ""),
        "Seal": settings.seal,
        "Version": f"Strongroom kms, protocol {PROTOCOL_VERSION}",
    }
    for number, listener in enumerate(settings.listeners, 1):
        tls = "disabled" if listener.tls_disable else "enabled"
        rows[f"Listener {number}"] = f'tcp (addr: "{listener.host}:{listener.port}", tls: "{tls}")'
    lines = [f"{name:>24}: {rows[name]}" for name in sorted(rows)]
    head = "==> Vault server configuration:\n\n"
    return head + "\n".join(lines) + "\n\n==> Vault server started! Log data will stream in below:\n"


def dev_banner(settings: Settings, address: str, unseal_key: str, root_token: str) -> str:
    """Return what a development server tells: how to reach it, and its secrets (vault.md 10.4)."""
    scheme = "http" if settings.listeners[0].tls_disable else "https"
    authority = f"    $ export VAULT_CACERT='{settings.dev_authority}'\n" if settings.dev_authority else ""
    return (
        "WARNING! dev mode is enabled! In this mode, Vault runs entirely in-memory\n"
        "and starts unsealed with a single unseal key. The root token is already\n"
        "authenticated to the CLI, so you can immediately begin using Vault.\n\n"
        f"You may need to set the following environment variables:\n\n"
        f"    $ export VAULT_ADDR='{scheme}://{address}'\n{authority}\n"
        "The unseal key and root token are displayed below in case you want to\n"
        "seal/unseal the Vault or re-authenticate.\n\n"
        f"Unseal Key: {unseal_key}\nRoot Token: {root_token}\n\n"
        "Development mode should NOT be used in production installations!\n"
    )
