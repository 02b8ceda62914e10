"""Recorded certificates and API keys have the recorded identities; what `kes identity new` writes is alike."""

import re
import stat
from pathlib import Path
from typing import Any

import kes_world
import pytest
from cryptography import x509

from strongroom.cli.kes import identity
from strongroom.cli.kes.main import main
from strongroom.errors import Malformed
from strongroom.kes.domain.errors import ManyCertificates, NoCertificate
from strongroom.kes.wire.apikey import ApiKey
from strongroom.kes.wire.identity import of_peer

VECTORS = kes_world.load("identities.json")
OURS = kes_world.overrides()["identities"]
APPENDIX = {  # kes.md, appendix A
    "kes:v1:AGaV6VXHasF0FnaB60WdCOeTZ8eTIDikL4zlN16c8NAs": "ea9826089311fe44d7590408ede9150f7c637b6cab0a91ee6fe1aa5d9fb366f6",  # noqa: E501
    "kes:v1:ACQpoGqx3rHHjT938Hfu5hVVQJHZWSqVI2Xp1KlYxFVw": "0426fa9a04bc2756b92fbe8a97e1a1e07b53ecf04ed33da22c33e5c9faeb8cbb",  # noqa: E501
    "kes:v1:AMxvd2uV1l5dDSRwuKZxSjuM5BDemlr+685+JAHA1TuJ": "ab785e3b95d80d72cc9c27cb9fde886a0bf9068a69d40e3bd08a54e68c3f2bf7",  # noqa: E501
    "kes:v1:AD9E7FSYWrMD+VjhI6q545cYT9YOyFxZb7UnjEepYDRc": "3ecfcdf38fcbe141ae26a1030f81e96b753365a46760ae6b578698a97c59fd22",  # noqa: E501
}


def _of(name: str, pem: str, folder: Path, capsys: Any) -> tuple[int, str, str]:
    (folder / f"{name}.crt").write_text(pem)
    code = main(["identity", "of", f"{name}.crt"], "kes")
    return code, *capsys.readouterr()


@pytest.mark.parametrize("case", VECTORS["certificates"], ids=lambda case: case["name"])
def test_certificates(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    expected = case | OURS.get(f"certificate {case['name']}", {})
    pem = case["pem"].replace("<PRIVATE KEY block>\n", kes_world.server().key.decode())
    code, out, err = _of(case["name"], pem, tmp_path, capsys)
    assert (code, out, err) == (expected["exit_code"], expected["stdout"], expected["stderr"])


@pytest.mark.parametrize("case", VECTORS["api_keys"], ids=lambda case: case["api_key"])
def test_api_keys(case: dict[str, Any]) -> None:
    assert ApiKey.parse(case["api_key"]).identity == case["identity"]
    assert ApiKey.parse(case["api_key"]).text() == case["api_key"]


@pytest.mark.parametrize("text", APPENDIX)
def test_appendix(text: str) -> None:
    assert ApiKey.parse(text).identity == APPENDIX[text]
    assert ApiKey.parse(text.removeprefix("kes:v1:")).identity == APPENDIX[text]


@pytest.mark.parametrize("text", ["v1:AGaV6VXHasF0FnaB60WdCOeTZ8eTIDikL4zlN16c8NAs", "kes:AGaV", "kes:v1:", "kes:v1:!"])
def test_what_is_no_api_key(text: str) -> None:
    with pytest.raises(Malformed):
        ApiKey.parse(text)


@pytest.mark.parametrize("case", VECTORS["errors"], ids=lambda case: " ".join(case["argv"][1:]))
def test_other_arguments(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for one in kes_world.clients().values():
        one.write(tmp_path)
    if case.get("key_pem"):
        (tmp_path / case["argv"][-1]).write_text(case["key_pem"])
    code = main(case["argv"][1:], "kes")
    out, err = capsys.readouterr()
    assert (code, out, err) == (case["exit_code"], case["stdout"], case["stderr"])


def _masked(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{64}\b", "<identity>", re.sub(r"kes:v1:[A-Za-z0-9+/=]{44}", "<api-key>", text))


def test_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """In order: later cases meet the files of earlier ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("getpass.getpass", lambda prompt, stream: "secret-pw")
    monkeypatch.setattr(identity, "terminal", lambda: False)
    for case in VECTORS["identity_new"]:
        code = main(case["argv"][1:], "kes")
        out, err = capsys.readouterr()
        assert code == case["exit_code"], (case["argv"], err)
        if case.get("tty"):
            assert _masked(out) in _masked(case["output"])
        else:
            assert (_masked(out), err) == (_masked(case["stdout"]), case["stderr"])
        if "extensions" in case:
            _like_recorded(case)


def _like_recorded(case: dict[str, Any]) -> None:
    words = case["argv"]
    key, cert = Path(words[words.index("--key") + 1]), Path(words[words.index("--cert") + 1])
    assert oct(stat.S_IMODE(key.stat().st_mode)) == case["key_mode"]
    assert oct(stat.S_IMODE(cert.stat().st_mode)) == case["cert_mode"]
    made = x509.load_pem_x509_certificate(cert.read_bytes())
    recorded = x509.load_pem_x509_certificate(case["cert_pem"].encode())
    length = (made.not_valid_after_utc - made.not_valid_before_utc).total_seconds()
    assert length == case["validity_seconds"]
    assert [(one.oid, one.critical) for one in made.extensions] == [
        (one.oid, one.critical) for one in recorded.extensions
    ] or {(one.oid, one.critical) for one in made.extensions} == {
        (one.oid, one.critical) for one in recorded.extensions
    }
    for name in ("KeyUsage", "ExtendedKeyUsage", "BasicConstraints"):
        kind = getattr(x509, name)
        assert (
            made.extensions.get_extension_for_class(kind).value
            == recorded.extensions.get_extension_for_class(kind).value
        )


def _der(*names: str) -> tuple[bytes, ...]:
    from cryptography.hazmat.primitives.serialization import Encoding

    pems = (kes_world.clients()[name].cert for name in names)
    return tuple(x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER) for pem in pems)


def test_the_leaf_alone_is_who_a_client_is() -> None:
    admin = kes_world.clients()["admin"].identity
    assert of_peer(_der("admin")) == admin
    assert of_peer(_der("admin", "ca")) == admin
    with pytest.raises(ManyCertificates):
        of_peer(_der("admin", "app"))
    for chain in ((), ("ca",), ("ca", "admin")):  # a CA leaf of one's own in front of somebody else's certificate
        with pytest.raises(NoCertificate):
            of_peer(_der(*chain))
