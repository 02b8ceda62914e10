"""A kes configuration file becomes Settings: current schema here, older ones through `kes_old.py` (kes.md 4)."""

import dataclasses
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import MappingNode, ScalarNode

from strongroom.config import kes_old, kes_schema
from strongroom.config.kes_stores import read_store
from strongroom.config.yaml import Document, line_of, parse
from strongroom.errors import BadSettings
from strongroom.kes.domain.policy import Policies, Policy, check_glob
from strongroom.kes.domain.settings import (
    INFO,
    OFF,
    AuditSettings,
    CacheSettings,
    LockSettings,
    RouteSettings,
    Settings,
    StoreSettings,
    TlsSettings,
)

_LEVELS = {"DEBUG": -4, "INFO": 0, "WARN": 4, "ERROR": 8}
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_AUTH = {"": False, "on": True, "off": False}
MAX_FILE = 1 << 20  # bytes of a configuration file


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says beside the file; "" and None for what it does not say."""

    address: str = ""
    root: str = ""
    auth: str = ""
    key: str = ""
    cert: str = ""


def load(file: str | Path, env: Mapping[str, str] | None = None, flags: Flags = Flags()) -> Settings:
    """Read a configuration file; raise BadSettings with the original's text where it has one."""
    settings = loads(_as_yaml(file, _read(file)), os.environ if env is None else env, flags)
    watched = (str(file), *filter(None, (settings.tls.key, settings.tls.cert, settings.tls.ca)))
    return dataclasses.replace(settings, files=watched)


def _read(file: str | Path) -> str:
    try:
        with open(file, "rb") as source:  # an empty name is no folder, as Path("") would be
            data = source.read(MAX_FILE + 1)
    except OSError as error:
        raise BadSettings(f"open {file}: {(error.strerror or str(error)).lower()}") from error
    if len(data) > MAX_FILE:
        raise BadSettings(f"{file}: larger than {MAX_FILE} bytes")
    return data.decode(errors="replace")


def _as_yaml(file: str | Path, text: str) -> str:
    """Turn a TOML file, as there were in 2019, into YAML (which JSON is); line numbers are lost. Raises BadSettings."""
    if not str(file).endswith(".toml"):
        return text
    try:
        return json.dumps(tomllib.loads(text), default=str, indent=1)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{file}: {error}") from error


def load_store(file: str | Path, env: Mapping[str, str] | None = None) -> StoreSettings:
    """Return only the key store that a configuration file names; the rest need not be complete. Raises BadSettings."""
    document = parse(_as_yaml(file, _read(file)), os.environ if env is None else env, "kesconf.ymlFile")
    _check_version(document)
    found = kes_old.read(document, "")[0] if kes_old.is_old(document) else document.read(kes_schema.CURRENT)
    return read_store(found.get("keystore") or {})


def loads(text: str, env: Mapping[str, str], flags: Flags = Flags()) -> Settings:
    """Read a configuration; raise BadSettings."""
    document = parse(text, env, "kesconf.ymlFile")
    _check_version(document)
    if kes_old.is_old(document):
        return _settings(*kes_old.read(document, flags.root), document, flags, old=True)
    return _settings(document.read(kes_schema.CURRENT), [], document, flags, old=False)


def _check_version(document: Document) -> None:
    node = document.node("version")
    if isinstance(node, ScalarNode):
        if str(node.tag).endswith(":null") or node.value in {"", "v1"}:
            return
        raise BadSettings(f"edge: invalid server config version '{node.value}'")
    if node is not None:
        raise BadSettings(f"kesconf: invalid config version at line '{line_of(_key(document, 'version') or node)}'")


def _key(document: Document, name: str) -> Any:
    root: MappingNode = document.root
    return next((key for key, _ in root.value if key.value == name), None)


def _settings(found: dict[str, Any], hints: list[str], document: Document, flags: Flags, *, old: bool) -> Settings:
    """Check and convert, in the original's order (kes.md 4.2)."""
    admin = flags.root or found.get("admin", {}).get("identity", "")
    if not admin:
        raise BadSettings(kes_old.NO_ROOT if old else "kesconf: invalid admin identity: no admin identity")
    tls = _tls(found.get("tls", {}), admin, flags, old=old)
    policies = _policies(found.get("policy", {}), admin, tls, globs=old)
    cache = _cache(found.get("cache", {}).get("expiry", {}), old=old)
    routes = _routes(found.get("api", {}))
    error_level, audit_level = _levels(found.get("log", {}), old=old)
    keys = _predefined(found.get("keys", []))
    store = read_store(found.get("keystore") or {}, optional=old)
    host, port = parse_address(flags.address or found.get("address") or "0.0.0.0:7373")
    warnings = [*hints, *document.warnings, *_policy_warnings(policies)]
    Policies.of(admin, policies)
    return Settings(
        host=host,
        port=port,
        admin=admin,
        tls=tls,
        policies=policies,
        routes=routes,
        cache=cache,
        error_level=error_level,
        audit_level=audit_level,
        audit=_audit(found.get("audit", {})),
        lock=LockSettings(**{"within": 5.0, **found.get("lock", {})}),
        keys=keys,
        store=store,
        warnings=tuple(warnings),
        old=old,
    )


def _tls(found: dict[str, Any], admin: str, flags: Flags, *, old: bool) -> TlsSettings:
    key, cert = found.get("key", ""), found.get("cert", "")
    if old:  # the flags win in front of an old file (kes.md 4.4)
        key, cert = flags.key or key, flags.cert or cert
    if not key:
        raise BadSettings("kesconf: invalid tls config: no private key")
    if not cert:
        raise BadSettings("kesconf: invalid tls config: no certificate")
    auth = flags.auth or found.get("auth", "") if old else found.get("auth", "")
    if old and not auth:
        auth = "on"  # the old default (kes.md 4.4)
    if auth.lower() not in _AUTH:
        raise BadSettings(f"kesconf: invalid tls config: invalid auth '{{ {auth}}}'")
    proxy = found.get("proxy", {})
    proxies = tuple(one for one in proxy.get("identities", []) if one)
    if admin in proxies:
        raise BadSettings(f"kesconf: invalid tls proxy: identity '{admin}' is already admin")
    header = proxy.get("header", {}).get("cert", "") or "X-Tls-Client-Cert"
    password, ca = found.get("password", ""), found.get("ca", "")
    return TlsSettings(key, cert, password, _AUTH[auth.lower()], ca, proxies, header.lower())


def _policies(found: dict[str, Any], admin: str, tls: TlsSettings, *, globs: bool) -> tuple[Policy, ...]:
    policies = []
    for name, members in found.items():
        rules = members or {}
        identities = tuple(one or "" for one in rules.get("identities", []))
        for identity in identities:
            if identity == admin:
                raise BadSettings(f"kesconf: invalid policy '{name}': identity '{identity}' is already admin")
            if identity in tls.proxies:
                raise BadSettings(f"kesconf: invalid policy '{name}': identity '{identity}' is already a TLS proxy")
        allow, deny = (tuple(one or "" for one in rules.get(kind, [])) for kind in ("allow", "deny"))
        paths = tuple(one or "" for one in rules.get("paths", []))
        for pattern in paths:
            check_glob(pattern)
        policies.append(Policy(name, paths or allow, deny, identities, globs=globs and bool(paths)))
    return tuple(policies)


def _policy_warnings(policies: tuple[Policy, ...]) -> list[str]:
    """Name the patterns that meant something else before October 2023 (kes.md 3)."""
    return [
        f"policy '{policy.name}': in '{pattern}' only a '*' at the very end is special"
        for policy in policies
        if not policy.globs
        for pattern in (*policy.allow, *policy.deny)
        if re.search(r"[*?\[]", pattern[:-1]) or pattern.endswith(("?", "["))
    ]


def _cache(found: dict[str, Any], *, old: bool) -> CacheSettings:
    names = {"any": "cache expiry", "unused": "cache unused expiry", "offline": "offline cache expiry"}
    for name, words in names.items():
        if found.get(name, 0.0) < 0:
            raise BadSettings(f"kesconf: invalid {words} '{go_duration(found[name])}'")
    if old:  # absent meant off (kes.md 4.4)
        return CacheSettings(*(found.get(name, 0.0) for name in names))
    return CacheSettings(found.get("any") or 300.0, found.get("unused") or 30.0, found.get("offline", 0.0))


def go_duration(seconds: float) -> str:
    """Write a duration as Go does: `1h30m0s`, `-20s`, `1.5s`, `100ms`."""
    sign, left = ("-" if seconds < 0 else ""), abs(seconds)
    if left and left < 1:
        unit, factor = ("ms", 1e3) if left >= 1e-3 else ("µs", 1e6) if left >= 1e-6 else ("ns", 1e9)
        return f"{sign}{left * factor:.9g}{unit}"
    hours, rest = divmod(left, 3600)
    minutes, secs = divmod(rest, 60)
    text = f"{secs:.9g}s"
    if hours or minutes:
        text = f"{int(minutes)}m{text}"
    return sign + (f"{int(hours)}h{text}" if hours else text)


def _routes(found: dict[str, Any]) -> dict[str, RouteSettings]:
    routes = {}
    for path, change in found.items():
        timeout = (change or {}).get("timeout", 0.0)
        if timeout < 0:
            raise BadSettings(f"kesconf: invalid timeout '{round(timeout * 1e9)}' for API '{path}'")
        routes[path] = RouteSettings((change or {}).get("skip_auth", False), timeout or None)
    return routes


def _levels(found: dict[str, Any], *, old: bool) -> tuple[int, int]:
    return log_level(found.get("error", "")), log_level(found.get("audit", "") or ("off" if old else ""))


def log_level(text: str) -> int:
    """Read `on`, `off`, a level's name, `NAME+n` or a number (kes.md 4.1); raise BadSettings."""
    upper = text.upper()
    if upper in {"", "ON"}:
        return INFO
    if upper == "OFF":
        return OFF
    for name, level in _LEVELS.items():
        if upper == name:
            return level
        if upper.startswith(name):
            suffix = upper.removeprefix(name)
            if not suffix.startswith("+"):
                raise BadSettings(f"kesconf: invalid log level '{upper}'")
            return level + _integer(suffix[1:], f"kesconf: invalid log level suffix '{suffix[1:]}': ")
    return _integer(upper, "")


def _integer(text: str, prefix: str) -> int:
    if not re.fullmatch(r"[+-]?\d+", text):
        raise BadSettings(f'{prefix}strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _predefined(found: list[Any]) -> tuple[str, ...]:
    names = [(one or {}).get("name", "") for one in found]
    for name in names:
        if names.count(name) > 1:
            raise BadSettings(f"kesconf: invalid key config: key '{name}' is defined multiple times")
        if name.endswith("-"):  # the original checks no names here; one of ours would be taken for a mark
            raise BadSettings(f"kesconf: invalid key config: key '{name}' ends in '-', as only marks of key states do")
    return tuple(names)


def _audit(found: dict[str, Any]) -> AuditSettings:
    when_full = found.get("when_full", "refuse")
    if when_full not in {"refuse", "continue"}:
        raise BadSettings(f"audit.when_full '{when_full}' is neither 'refuse' nor 'continue'")
    return AuditSettings(
        console=not found.get("file"),
        file=found.get("file", ""),
        rotate_bytes=_size(found.get("rotate", "0")),
        keep=_count(found.get("keep", "0")),
        key_file=found.get("key", ""),
        context=found.get("context", False),
        refuse_when_full=when_full == "refuse",
    )


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([KMG]i?)?B?", text)
    if found is None:
        raise BadSettings(f"audit.rotate '{text}' is no size; write it like 100MB")
    return int(found[1]) * _SIZES[found[2] or ""]


def _count(text: str) -> int:
    if not text.isdigit():
        raise BadSettings(f"audit.keep '{text}' is no number")
    return int(text)


def parse_address(address: str) -> tuple[str, int]:
    """Split [host]:port; the host is empty or an IP literal. Raises BadSettings (kes.md 4.2)."""
    host, colon, port = address.rpartition(":")
    if not colon or host.count("[") != host.count("]"):
        raise BadSettings(f"address {address}: missing port in address")
    host = host.removeprefix("[").removesuffix("]")
    if host:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise BadSettings(f"'{host}' is not a valid IP address") from None
    if not port.isdigit():
        raise BadSettings(f"listen tcp: lookup tcp/{port}: unknown port")
    if int(port) > 65535:
        raise BadSettings(f"listen tcp: address {port}: invalid port")
    return host, int(port)
