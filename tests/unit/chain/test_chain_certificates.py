import hashlib
import ssl
import subprocess

import pytest

from strongroom.chain import certificates
from strongroom.chain.certificates import Pair


@pytest.fixture
def authority(tmp_path):
    pair = Pair(tmp_path / "ca.crt", tmp_path / "ca.key")
    certificates.make_authority(pair)
    return pair


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not waiting


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_server_certificate_is_trusted_for_its_hosts(authority, tmp_path, host):
    pair = Pair(tmp_path / "s.crt", tmp_path / "s.key")
    certificates.make_server(authority, pair, ["localhost", "127.0.0.1", "::1"])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair.certificate, pair.key)
    client = ssl.create_default_context(cafile=str(authority.certificate))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    handshake(client, server, host)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(client, server, "example.org")


def test_a_certificate_for_other_hosts_is_made_anew(authority, tmp_path):
    pair = Pair(tmp_path / "s.crt", tmp_path / "s.key")
    assert not certificates.serves(pair, ["localhost"])
    certificates.make_server(authority, pair, ["localhost"])
    assert certificates.serves(pair, ["localhost"])
    assert not certificates.serves(pair, ["localhost", "10.0.0.1"])


def test_identity_is_the_hash_of_the_public_key(tmp_path):
    pair = Pair(tmp_path / "c.crt", tmp_path / "c.key")
    identity = certificates.make_identity(pair, "someone")
    openssl = subprocess.run(
        f"openssl x509 -in {pair.certificate} -pubkey -noout | openssl pkey -pubin -outform DER",
        shell=True,
        capture_output=True,
        check=True,
    )
    assert identity == certificates.identity_of(pair.certificate) == hashlib.sha256(openssl.stdout).hexdigest()
    assert pair.key.stat().st_mode & 0o777 == 0o600


def test_a_certificate_whose_key_is_another_is_made_anew(authority, tmp_path):
    pair, other = (Pair(tmp_path / f"{name}.crt", tmp_path / f"{name}.key") for name in "ab")
    for one in (pair, other):
        certificates.make_server(authority, one, ["localhost"])
    other.key.replace(pair.key)  # a renewal that was cut off between its two files
    assert not certificates.serves(pair, ["localhost"])
