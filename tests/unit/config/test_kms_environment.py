import pytest

from strongroom.config import environment as base
from strongroom.config.environment import root_credentials, switch, with_file
from strongroom.config.kms_environment import endpoints, kms_settings
from strongroom.errors import BadSettings

HEX = "my-key:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
BASE64 = "my-key:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KES = {
    "MINIO_KMS_KES_ENDPOINT": "https://kes:7373",
    "MINIO_KMS_KES_KEY_NAME": "minio-key-1",
    "MINIO_KMS_KES_KEY_FILE": "minio.key",
    "MINIO_KMS_KES_CERT_FILE": "minio.crt",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://kes:7373", ["https://kes:7373"]),
        (" https://a:1 , ,https://b:2", ["https://a:1", "https://b:2"]),
        ("https://kes{1...3}:7373", ["https://kes1:7373", "https://kes2:7373", "https://kes3:7373"]),
        ("https://kes{09...11}:1", ["https://kes09:1", "https://kes10:1", "https://kes11:1"]),
        ("https://k{a...c}:1", ["https://ka:1", "https://kb:1", "https://kc:1"]),
        ("k{1...2}.r{1...2}", ["k1.r1", "k1.r2", "k2.r1", "k2.r2"]),
    ],
)
def test_endpoints(text, expected):
    assert list(endpoints(text)) == expected


@pytest.mark.parametrize("text", ["", " , ", "http://kes:7373", "k{2...1}", "k{1...99999}", "k{1...99}{1...99}"])
def test_bad_endpoints(text):
    with pytest.raises(BadSettings, match="Failed to connect to KMS"):
        endpoints(text)


def test_both_spellings_of_the_ca_path():
    assert kms_settings(KES | {"MINIO_KMS_KES_CAPATH": "a"}).kes.ca_path == "a"
    old = kms_settings(KES | {"MINIO_KMS_KES_CA_PATH": "b"})
    assert old.kes.ca_path == "b"
    assert old.warnings


@pytest.mark.parametrize("name", ["MINIO_KMS_MASTER_KEY", "MINIO_SSE_MASTER_KEY"])
def test_master_keys_of_the_first_guide(name, tmp_path, monkeypatch):
    settings = kms_settings({name: HEX})
    assert settings.static.key == kms_settings({"MINIO_KMS_SECRET_KEY": BASE64}).static.key
    assert settings.static.key_name == "my-key"
    assert settings.warnings
    monkeypatch.setattr(base, "DOCKER_SECRETS", tmp_path)
    (tmp_path / "my_kms_master_key").write_text(HEX + "\n")
    assert kms_settings({name + "_FILE": "my_kms_master_key"}).static.key == settings.static.key
    assert not kms_settings({name + "_FILE": "kms_master_key"}).configured  # the images' default, without a secret
    with pytest.raises(BadSettings, match="no such file"):
        kms_settings({name + "_FILE": "misspelt"})
    for broken in (HEX[:-1], HEX[:-2], "my-key", ":" + HEX.partition(":")[2]):
        with pytest.raises(BadSettings):
            kms_settings({name: broken})


def test_docker_secret_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(base, "DOCKER_SECRETS", tmp_path)
    (tmp_path / "kms_master_key").write_text(BASE64)
    assert kms_settings({"MINIO_KMS_SECRET_KEY_FILE": "kms_master_key"}).static.key_name == "my-key"


def test_no_secret_in_messages_or_reprs():
    settings = kms_settings(KES | {"MINIO_KMS_KES_KEY_PASSWORD": "hunter2"})
    assert "hunter2" not in repr(settings)
    without = {name: value for name, value in KES.items() if not name.endswith("_FILE")}
    api_key = "kes:v1:AD9E7FSYWrMD+VjhI6q545cYT9YOyFxZb7UnjEepYDRc"
    assert api_key not in repr(kms_settings(without | {"MINIO_KMS_KES_API_KEY": api_key}))
    assert "AAECAw" not in repr(kms_settings({"MINIO_KMS_SECRET_KEY": BASE64}))
    with pytest.raises(BadSettings) as refused:
        kms_settings(without | {"MINIO_KMS_KES_API_KEY": api_key[3:]})
    assert api_key[8:] not in str(refused.value)


def test_kinds_of_auto_encryption():
    on = {"MINIO_KMS_SECRET_KEY": BASE64, "MINIO_KMS_AUTO_ENCRYPTION": "on"}
    assert kms_settings(on).auto_encryption == "aws:kms"
    assert kms_settings(on, old_credentials=True).auto_encryption == "AES256"
    for text, kind in {"sse-s3": "AES256", "SSE-KMS": "aws:kms", "AES256": "AES256"}.items():
        found = kms_settings(on | {"MINIO_KMS_AUTO_ENCRYPTION_TYPE": text}, old_credentials=True)
        assert found.auto_encryption == kind
    with pytest.raises(BadSettings):
        kms_settings(on | {"MINIO_KMS_AUTO_ENCRYPTION_TYPE": "x"})


def test_settings_of_our_own():
    assert kms_settings({}).bucket_keys
    assert not kms_settings({"MINIO_KMS_BUCKET_KEYS": "off"}).bucket_keys
    assert not kms_settings({"MINIO_KMS_REPLICATE_KEYID": "off"}).replicate_key_id
    with pytest.raises(BadSettings, match="neither on nor off"):
        switch({"X": "yes"}, "X", False)


def test_root_credentials(tmp_path):
    (tmp_path / "p").write_text("password\n")
    root = root_credentials({"MINIO_ROOT_USER": "admin", "MINIO_ROOT_PASSWORD_FILE": str(tmp_path / "p")})
    assert (root.access, bytes(root.secret), root.old) == ("admin", b"password", False)
    assert root_credentials({"MINIO_ACCESS_KEY": "minio", "MINIO_SECRET_KEY": "minio123"}).old
    assert root_credentials({"MINIO_API_ROOT_ACCESS": "off"}).derived
    assert root_credentials({}).access == "minioadmin"


def test_env_file(tmp_path):
    file = tmp_path / "env"
    file.write_text("# comment\nexport A='1'\nB = two words \n\nC=\"\"\n")
    assert with_file({"MINIO_CONFIG_ENV_FILE": str(file), "A": "0"}) == {
        "MINIO_CONFIG_ENV_FILE": str(file),
        "A": "1",
        "B": "two words",
        "C": "",
    }
    file.write_text("A\n")
    with pytest.raises(BadSettings, match=":1: not an assignment"):
        with_file({"MINIO_CONFIG_ENV_FILE": str(file)})
