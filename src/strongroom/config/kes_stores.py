"""The `keystore` section of a kes configuration (kes.md 4.2)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from strongroom.errors import BadSettings
from strongroom.kes.domain.settings import (
    AwsSettings,
    AzureSettings,
    ForeignSettings,
    FsSettings,
    GcpSettings,
    KesSettings,
    MemorySettings,
    StoreSettings,
    VaultLogin,
    VaultSettings,
)


def read_store(found: dict[str, Any], *, optional: bool = False) -> StoreSettings:
    """Return the one store of the section; raise BadSettings. optional: none means memory, as old files had it."""
    known = [(kind, found[kind]) for kind in _READERS if kind in found]
    if not known:
        if optional and not found:
            return MemorySettings()
        raise BadSettings("kesconf: no keystore specified")
    if len(known) > 1:
        raise BadSettings("kesconf: invalid keystore config: more than once keystore specified")
    kind, members = known[0]
    return _READERS[kind](members)


def _demand(prefix: str, *needed: tuple[object, str]) -> None:
    """Raise BadSettings for the first value that is empty."""
    for value, what in needed:
        if not value:
            raise BadSettings(f"kesconf: {prefix}: {what}")


def _fs(found: dict[str, Any]) -> StoreSettings:
    _demand("invalid fs keystore", (found.get("path"), "no path specified"))
    return FsSettings(found["path"])


def _vault(found: dict[str, Any]) -> StoreSettings:
    bad = "invalid vault keystore"
    _demand(bad, (found.get("endpoint"), "no endpoint specified"))
    login = _vault_login(found, bad)
    transit = found.get("transit")
    if transit is not None:
        _demand(bad, (transit.get("key"), "invalid transit config: no key name specified"))
    tls = found.get("tls", {})
    if tls.get("key") and not tls.get("cert"):
        raise BadSettings(f"kesconf: {bad}: invalid tls config: no TLS certificate provided")
    if tls.get("cert") and not tls.get("key"):
        raise BadSettings(f"kesconf: {bad}: invalid tls config: no TLS private key provided")
    return VaultSettings(
        endpoint=found["endpoint"],
        login=login,
        engine=found.get("engine") or "kv",
        version=found.get("version") or "v1",
        namespace=found.get("namespace", ""),
        prefix=found.get("prefix", ""),
        transit_engine=(transit or {}).get("engine") or "transit",
        transit_key=(transit or {}).get("key", ""),
        key=tls.get("key", ""),
        cert=tls.get("cert", ""),
        ca=tls.get("ca", ""),
        ping=found.get("status", {}).get("ping") or 15.0,
    )


def _vault_login(found: dict[str, Any], bad: str) -> VaultLogin:
    approle: dict[str, Any] | None = found.get("approle")
    kubernetes: dict[str, Any] | None = found.get("kubernetes")
    if approle is None and kubernetes is None:
        raise BadSettings(f"kesconf: {bad}: no authentication method specified")
    if approle is not None and kubernetes is not None:
        raise BadSettings(f"kesconf: {bad}: more than one authentication method specified")
    if approle is not None:
        _demand(
            bad,
            (approle.get("id"), "invalid approle config: no approle ID specified"),
            (approle.get("secret"), "invalid approle config: no approle secret specified"),
        )
        engine, namespace = approle.get("engine") or "approle", approle.get("namespace", "")
        return VaultLogin("approle", engine, namespace, id=approle["id"], secret=approle["secret"])
    assert kubernetes is not None
    _demand(bad, (kubernetes.get("jwt"), "invalid kubernetes config: no JWT specified"))
    jwt = kubernetes["jwt"]
    if "/" in jwt:
        _check_readable(jwt)
    engine, namespace = kubernetes.get("engine") or "kubernetes", kubernetes.get("namespace", "")
    return VaultLogin("kubernetes", engine, namespace, role=kubernetes.get("role", ""), jwt=jwt)


def _check_readable(path: str) -> None:
    try:
        Path(path).read_bytes()
    except OSError as error:
        why = f"open {path}: {(error.strerror or str(error)).lower()}"
        raise BadSettings(f"kesconf: failed to read vault kubernetes JWT from '{path}': {why}") from error


def _kes(found: dict[str, Any]) -> StoreSettings:
    endpoints = tuple(one for one in found.get("endpoint", []) if one)
    tls = found.get("tls", {})
    _demand(
        "invalid kes keystore",
        (endpoints, "no endpoint specified"),
        (tls.get("key"), "invalid tls config: no TLS private key provided"),
        (tls.get("cert"), "invalid tls config: no TLS certificate provided"),
    )
    return KesSettings(endpoints, tls["key"], tls["cert"], tls.get("ca", ""))


def _aws(found: dict[str, Any]) -> StoreSettings:
    members = found.get("secretsmanager", {})
    bad = "invalid AWS secretsmanager keystore"
    _demand(bad, (members.get("endpoint"), "no endpoint specified"), (members.get("region"), "no region specified"))
    credentials = members.get("credentials", {})
    keys = (credentials.get(name, "") for name in ("accesskey", "secretkey", "token"))
    return AwsSettings(members["endpoint"], members["region"], members.get("kmskey", ""), *keys)


def _gcp(found: dict[str, Any]) -> StoreSettings:
    members = found.get("secretmanager", {})
    _demand("invalid GCP secretmanager keystore", (members.get("project_id"), "no project ID specified"))
    credentials = members.get("credentials", {})
    keys = (credentials.get(name, "") for name in ("client_email", "client_id", "private_key_id", "private_key"))
    return GcpSettings(members["project_id"], members.get("endpoint", ""), tuple(members.get("scopes", [])), *keys)


def _azure(found: dict[str, Any]) -> StoreSettings:
    members = found.get("keyvault", {})
    bad = "invalid Azure keyvault keystore"
    _demand(bad, (members.get("endpoint"), "no endpoint specified"))
    credentials, managed = members.get("credentials"), members.get("managed_identity")
    if credentials is not None and managed is not None:
        raise BadSettings(f"kesconf: {bad}: more than one authentication method specified")
    if credentials is not None:
        _demand(
            bad,
            (credentials.get("tenant_id"), "no tenant ID specified"),
            (credentials.get("client_id"), "no client ID specified"),
            (credentials.get("client_secret"), "no client secret specified"),
        )
    if managed is not None:
        _demand(bad, (managed.get("client_id"), "no client ID specified"))
    keys = [(credentials or {}).get(name, "") for name in ("tenant_id", "client_id", "client_secret")]
    return AzureSettings(members["endpoint"], *(*keys, (managed or {}).get("client_id", "")))


def _fortanix(found: dict[str, Any]) -> StoreSettings:
    members = found.get("sdkms", {})
    needed = ((members.get("endpoint"), "no endpoint specified"),)
    _demand(
        "invalid fortanix SDKMS keystore", *needed, (members.get("credentials", {}).get("key"), "no API key specified")
    )
    return ForeignSettings("Fortanix SDKMS")


def _gemalto(found: dict[str, Any]) -> StoreSettings:
    members = found.get("keysecure", {})
    _demand(
        "invalid gemalto keysecure keystore",
        (members.get("endpoint"), "no endpoint specified"),
        (members.get("credentials", {}).get("token"), "no token specified"),
    )
    return ForeignSettings("Gemalto KeySecure")


def _entrust(found: dict[str, Any]) -> StoreSettings:
    members = found.get("keycontrol", {})
    credentials = members.get("credentials", {})
    _demand(
        "invalid Entrust KeyControl keystore",
        (members.get("endpoint"), "no endpoint specified"),
        (members.get("vault_id"), "no vault ID specified"),
        (members.get("box_id"), "no box ID specified"),
        (credentials.get("username"), "no username specified"),
        (credentials.get("password"), "no password specified"),
    )
    return ForeignSettings("Entrust KeyControl")


_READERS: dict[str, Callable[[dict[str, Any]], StoreSettings]] = {
    "fs": _fs,
    "vault": _vault,
    "kes": _kes,
    "fortanix": _fortanix,
    "gemalto": _gemalto,
    "gcp": _gcp,
    "aws": _aws,
    "azure": _azure,
    "entrust": _entrust,
    "generic": lambda found: ForeignSettings("generic (a REST plugin)"),
}
