"""Every recorded configuration: the same files are accepted, the others refused with the recorded words."""

import shutil
from pathlib import Path

import kes_world
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from strongroom.config.kes import Flags, load
from strongroom.errors import Error
from strongroom.kes import app
from strongroom.kes.banner import banner
from strongroom.kes.domain.settings import Settings
from strongroom.observe.log import OFF, Log

CASES = kes_world.load("config.json")
OURS = kes_world.overrides()["config"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the configurations name."""
    folder = tmp_path_factory.mktemp("config")
    for one in kes_world.clients().values():
        one.write(folder)
    server = kes_world.server()
    server.write(folder)
    (folder / "both.pem").write_bytes(server.cert + server.key)
    (folder / "badcadir_key.pem").write_bytes(server.key)
    (folder / "cadir").mkdir()
    shutil.copy(folder / "p256.crt", folder / "cadir" / "p256.crt")
    (folder / "notdir").write_text("x")
    (folder / "jwtfile").write_text("jwt")
    key = Ed25519PrivateKey.generate()
    (folder / "nosan.key").write_bytes(server.key)
    private = load_pem_private_key(server.key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    (folder / "nosan.crt").write_bytes(kes_world.certificate(private, "x").public_bytes(Encoding.PEM))
    (folder / "senc.key").write_bytes(_rfc1423(key))
    names = (kes_world.x509.DNSName("localhost"),)
    (folder / "senc.crt").write_bytes(kes_world.certificate(key, "senc", names=names).public_bytes(Encoding.PEM))
    encrypted = BestAvailableEncryption(b"pw")
    traditional, pkcs8 = PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8
    (folder / "oenc.key").write_bytes(private.private_bytes(Encoding.PEM, traditional, encrypted))
    (folder / "p8enc.key").write_bytes(private.private_bytes(Encoding.PEM, pkcs8, encrypted))
    (folder / "sec1.key").write_bytes(private.private_bytes(Encoding.PEM, traditional, NoEncryption()))
    return folder


def _rfc1423(key: Ed25519PrivateKey) -> bytes:
    from strongroom.kes.wire.pem import encrypt_key

    return encrypt_key(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), b"secret-pw")


async def _outcome(case: dict, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Settings | None, str]:
    monkeypatch.chdir(folder)
    text = kes_world.fill(case["yaml"])
    text = text.replace("127.0.0.1:<port>", "127.0.0.1:99999" if "99999" in case["name"] else "127.0.0.1:0")
    text = text.replace("<port>", "0").replace("27399", "1")
    text = text.replace("<RSA private key PEM>", kes_world.clients()["rsa2048"].key.decode().replace("\n", "\\n"))
    Path("config.yaml").write_text(text)
    env = {name: kes_world.fill(value) for name, value in case.get("env", {}).items()}
    flags = Flags(root="disabled" if case.get("accepted_by_strongroom") and "root" not in text else "", auth="off")
    try:
        settings = load("config.yaml", env, flags)
        if settings.port == 7373:
            import dataclasses

            settings = dataclasses.replace(settings, port=0)
        running = await app.start(settings, log=Log(OFF + 1))
    except (Error, OSError) as error:
        return f"Error: {error}", None, ""
    description = running.store.description
    await running.stop(0)
    return "", settings, description


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_configuration(case: dict, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    message, settings, store = await _outcome(case, folder, monkeypatch)
    expected = OURS.get(case["name"], {}).get("message", case["message"])
    accepted = OURS.get(case["name"], {}).get("accepted", case["accepted"] or case.get("accepted_by_strongroom"))
    if "message_begins" in OURS.get(case["name"], {}):
        assert message.startswith(OURS[case["name"]]["message_begins"])
        return
    if not accepted:
        assert kes_world.hide(message).replace("127.0.0.1:1/", "127.0.0.1:27399/") == expected
        return
    assert message == ""
    assert settings is not None
    lines = banner(settings, store, 7373, "<unknown>", tty=False).splitlines()
    for line in case.get("banner") or []:
        assert line in [kes_world.hide(one) for one in lines]
