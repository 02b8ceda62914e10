"""Configuration files of KES servers from 2019 to 2022, read as what they would be today (kes.md 4.4)."""

from typing import Any

from ruamel.yaml.nodes import MappingNode, ScalarNode

from strongroom.config import kes_schema
from strongroom.config.yaml import Document
from strongroom.errors import BadSettings

NO_ROOT = "No root identity has been specified; write `admin: { identity: ... }` or give --root"
_HINTS = {
    "root": "`root` is written `admin: { identity: ... }` today",
    "paths": "a policy's `paths` is written `allow` today, where only a final `*` is special",
    "keys": "the store under `keys` is written under `keystore` today",
    "all": "`cache.expiry.all` is written `cache.expiry.any` today",
    "address": "`keystore.vault.address` is written `endpoint` today",
    "name": "`keystore.vault.name` is written `prefix` today",
    "memory": "no key store: keys are kept in memory, and are lost when the server ends; name one under `keystore`",
}


def is_old(document: Document) -> bool:
    """Tell an old file by its shape: `keys` holds the store, or no `version` and `admin` but `root` or `paths`."""
    if isinstance(document.node("keys"), MappingNode):
        return document.node("keystore") is None
    if document.node("version") is not None or document.node("admin") is not None:
        return False
    return document.node("root") is not None or _has_paths(document) or _lacks_everything_new(document)


def _has_paths(document: Document) -> bool:
    policies = document.node("policy")
    if not isinstance(policies, MappingNode):
        return False
    return any(
        key.value == "paths" for _, rules in policies.value if isinstance(rules, MappingNode) for key, _ in rules.value
    )


def _lacks_everything_new(document: Document) -> bool:
    """A file with a log section of 2019, where error and audit held lists of files."""
    return isinstance(document.node("log", "error"), MappingNode)


def read(document: Document, root: str) -> tuple[dict[str, Any], list[str]]:
    """Return the members as a current file would have them, and a hint for each that is written differently now."""
    hints: list[str] = []
    keys_are_store = isinstance(document.node("keys"), MappingNode)
    schema = kes_schema.OLD_KEYS_ARE_STORE if keys_are_store else kes_schema.OLD_KEYS_ARE_LIST
    _quiet_log_files(document)
    if keys_are_store:
        _integers_are_nanoseconds(document)
    found = document.read(schema)
    if "root" in found:
        hints.append(_HINTS["root"])
        found["admin"] = {"identity": root or found.pop("root")}
    if keys_are_store:
        hints.append(_HINTS["keys"])
        found["keystore"] = found.pop("keys")
    if not found.get("keystore"):
        _check_no_store(document, "keys" if keys_are_store else "keystore")
        hints.append(_HINTS["memory"])
    _rename_expiry(found.get("cache", {}).get("expiry", {}), hints)
    _rename_stores(found.get("keystore", {}), hints)
    if any((rules or {}).get("paths") for rules in found.get("policy", {}).values()):
        hints.append(_HINTS["paths"])
    return found, hints


def _check_no_store(document: Document, section: str) -> None:
    """Raise BadSettings when a store is named that we do not know: keys in memory are not what was meant."""
    node = document.node(section)
    if isinstance(node, MappingNode) and node.value:
        names = ", ".join(f"'{key.value}'" for key, _ in node.value)
        raise BadSettings(f"kesconf: no keystore specified: {names} under `{section}` is none")


def _quiet_log_files(document: Document) -> None:
    """Drop `log.error.file: []` and its like: lists of files that no later server had."""
    log = document.node("log")
    if isinstance(log, MappingNode):
        log.value = [(key, value) for key, value in log.value if isinstance(value, ScalarNode)]


def _integers_are_nanoseconds(document: Document) -> None:
    """Read `any: 300000000000` as the YAML library of 2020 did."""
    nodes = [document.node("cache", "expiry", name) for name in ("any", "all", "unused", "offline")]
    for node in (*nodes, document.node("keys", "vault", "status", "ping")):
        if isinstance(node, ScalarNode) and str(node.tag).endswith(":int"):
            node.value, node.tag = f"{node.value}ns", "tag:yaml.org,2002:str"


def _rename_expiry(expiry: dict[str, Any], hints: list[str]) -> None:
    if "all" in expiry:
        hints.append(_HINTS["all"])
        expiry.setdefault("any", expiry.pop("all"))


def _rename_stores(stores: dict[str, Any], hints: list[str]) -> None:
    vault = stores.get("vault", {})
    for old, new in (("address", "endpoint"), ("name", "prefix")):
        if old in vault:
            hints.append(_HINTS[old])
            vault.setdefault(new, vault.pop(old))
    aws = stores.get("aws", {})
    if "secrets_manager" in aws:
        aws.setdefault("secretsmanager", aws.pop("secrets_manager"))
    members = aws.get("secretsmanager", {})
    for old, new in (("address", "endpoint"), ("kms_key_id", "kmskey")):
        if old in members:
            members.setdefault(new, members.pop(old))
    credentials = members.get("credentials", {})
    for old, new in (("access_key", "accesskey"), ("secret_key", "secretkey"), ("session_token", "token")):
        if old in credentials:
            credentials.setdefault(new, credentials.pop(old))
