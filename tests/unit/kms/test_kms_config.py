"""Configuration files in every form that clients write, and what is said about the wrong ones."""

import json

import pytest

from strongroom.config.kms import kms_settings
from strongroom.errors import BadSettings

GUIDE = {
    "api_addr": "https://127.0.0.1:8200",
    "backend": {"file": {"path": "vault/file"}},
    "default_lease_ttl": "168h",
    "max_lease_ttl": "720h",
    "listener": {
        "tcp": {
            "address": "0.0.0.0:8200",
            "tls_cert_file": "vault.crt",
            "tls_key_file": "vault.key",
            "tls_min_version": "tls12",
        }
    },
}
HCL = """
# a comment
storage "file" {
  path = "vault/file"   // another
}
listener "tcp" {
  address         = "0.0.0.0:8200"
  tls_cert_file   = "vault.crt"
  tls_key_file    = "vault.key"
}
listener "tcp" {
  address     = "127.0.0.1:8100"
  tls_disable = "true"
  telemetry { unauthenticated_metrics_access = true }
}
api_addr = "https://127.0.0.1:8200"
default_lease_ttl = "168h"
max_lease_ttl     = "720h"
disable_mlock     = 1
telemetry { prometheus_retention_time = "30s" }
seal "transit" { address = "https://other:8200" key_name = "k" }
audit "file" "to-file" {
  options { file_path = "/tmp/audit.log" }
}
"""


def read(tmp_path, content, name="kms.hcl", environment=None):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return kms_settings([str(path)], environment or {})


def test_the_guide_s_file(tmp_path):
    found = read(tmp_path, GUIDE, "vault-config.json")
    assert (found.storage, found.storage_options["path"]) == ("file", "vault/file")
    assert (found.default_lease_ttl, found.max_lease_ttl) == (168 * 3600, 720 * 3600)
    listener = found.listeners[0]
    assert (listener.host, listener.port, listener.tls_cert_file) == ("0.0.0.0", 8200, "vault.crt")
    assert not found.warnings


def test_hcl(tmp_path):
    found = read(tmp_path, HCL)
    assert [listener.port for listener in found.listeners] == [8200, 8100]
    assert found.listeners[1].tls_disable
    assert found.listeners[1].unauthenticated_metrics
    assert found.disable_mlock
    assert found.prometheus_retention == 30
    assert (found.seal, found.seal_options["key_name"]) == ("transit", "k")
    assert (found.audits[0].type, found.audits[0].path) == ("file", "to-file")
    assert found.audits[0].options == {"file_path": "/tmp/audit.log"}


@pytest.mark.parametrize(
    "listener",
    [
        {"tcp": {"address": "127.0.0.1:1", "tls_disable": "1"}},
        [{"tcp": {"address": "127.0.0.1:1", "tls_disable": True}}],
        {"tcp": [{"address": "127.0.0.1:1", "tls_disable": "true"}]},
    ],
)
def test_json_forms_of_a_block(tmp_path, listener):
    found = read(tmp_path, {"storage": {"inmem": {}}, "listener": listener}, "a.json")
    assert [(one.port, one.tls_disable) for one in found.listeners] == [(1, True)]


def test_several_files_and_folders(tmp_path):
    (tmp_path / "a.hcl").write_text('storage "inmem" {}\nmax_lease_ttl = "1h"\n')
    (tmp_path / "b.json").write_text('{"max_lease_ttl": "2h", "listener": {"tcp": {"tls_disable": true}}}')
    (tmp_path / "c.txt").write_text("not a configuration")
    found = kms_settings([str(tmp_path)], {"VAULT_API_ADDR": "https://elsewhere"})
    assert (found.max_lease_ttl, len(found.listeners), found.api_addr) == (7200, 1, "https://elsewhere")


def test_unknown_names_are_warnings_with_line_and_nearest_name(tmp_path):
    found = read(tmp_path, 'storage "inmem" {}\n\nmax_leese_ttl = "1h"\n')
    assert "max_leese_ttl" in found.warnings[0]
    assert "kms.hcl:3" in found.warnings[0]
    assert "did you mean max_lease_ttl?" in found.warnings[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_lease_ttl = 5", "a storage backend must be specified"),
        ('storage "consul" {}', "unknown storage type consul"),
        ('storage "file" {}', "needs `path`"),
        ('{"storage": {"inmem": {}}, "listener": {"address": "x"}}', "listener type must be specified"),
        ('storage "inmem" {}\nlistener "tcp" { address = "x:99999" tls_disable = true }', "out of range"),
        ('storage "inmem" {}\nlistener "tcp" {}', "has no tls_cert_file"),
        ('storage "inmem" {}\nlistener "unix" {}', "'unix' is not supported"),
        ('storage "inmem" {}\nmax_lease_ttl = "soon"', "kms.hcl:2: max_lease_ttl"),
        ('storage "inmem" {}\ndisable_mlock = "perhaps"', "not a boolean"),
        ('storage "inmem" {', "At 1:"),
        ('storage "inmem" {}\nseal "awskms" {}', "unknown seal type awskms"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, said):
    with pytest.raises(BadSettings) as refused:
        read(tmp_path, text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(BadSettings, match=r"stat /nowhere\.json: no such"):
        kms_settings(["/nowhere.json"], {})
