"""Configuration files of KES servers of 2019 to 2022 that no recording has (kes.md 4.4)."""

from pathlib import Path

import pytest

from strongroom.config.kes import load, load_store, loads
from strongroom.errors import BadSettings
from strongroom.kes.domain.settings import CacheSettings, ForeignSettings, FsSettings, MemorySettings, VaultSettings

BASE = "root: ab12\ntls: {key: a, cert: b}\n"
TOML = """\
address = "127.0.0.1:7373"
root = "ab12"

[tls]
key = "a"
cert = "b"

[policy.minio]
paths = ["/v1/key/generate/minio-*"]
identities = ["cd34"]

[cache.expiry]
all = "5m"
unused = "20s"

[log.error]
file = []

[keystore.vault]
address = "https://127.0.0.1:8200"
name = "minio"

[keystore.vault.approle]
id = "one"
secret = "two"
retry = "15s"
"""


@pytest.mark.parametrize("section", ["keys: {valut: {endpoint: x}}", "keystore: {nothing: {}}"])
def test_a_store_that_we_do_not_know_is_no_reason_to_keep_keys_in_memory(section: str) -> None:
    with pytest.raises(BadSettings, match="no keystore specified: '"):
        loads(BASE + section, {})


def test_no_store_means_memory_and_is_said() -> None:
    settings = loads(BASE, {})
    assert settings.store == MemorySettings()
    assert any("lost when the server ends" in warning for warning in settings.warnings)


def test_the_plugin_of_2021_is_named() -> None:
    assert isinstance(loads(BASE + "keystore: {generic: {endpoint: x}}", {}).store, ForeignSettings)


def test_toml_of_2019(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(TOML)
    settings = load(file, {})
    assert (settings.admin, settings.host, settings.port) == ("ab12", "127.0.0.1", 7373)
    assert settings.cache == CacheSettings(any=300, unused=20, offline=0)
    assert isinstance(settings.store, VaultSettings)
    assert (settings.store.endpoint, settings.store.prefix) == ("https://127.0.0.1:8200", "minio")
    assert settings.policies[0].allow == ("/v1/key/generate/minio-*",)
    file.write_text('[keystore.fs]\npath = "keys"\n')
    assert load_store(file, {}) == FsSettings("keys")
    file.write_text("root = \n")
    with pytest.raises(BadSettings, match=r"config\.toml: Invalid value"):
        load(file, {})


def test_integers_were_nanoseconds() -> None:
    text = "cache: {expiry: {any: 300000000000, unused: 0, offline: 1s}}\nkeys: {fs: {path: x}}"
    assert loads(BASE + text, {}).cache == CacheSettings(any=300, unused=0, offline=1)
    with pytest.raises(BadSettings, match="cannot unmarshal"):
        loads(BASE.replace("root: ab12", "admin: {identity: ab12}") + text.replace("keys", "keystore"), {})
