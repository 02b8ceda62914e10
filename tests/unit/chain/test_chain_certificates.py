import datetime
import hashlib
import ssl
import subprocess

import pytest
from cryptography import x509

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
    assert not certificates.serves(authority, pair, ["localhost"])
    certificates.make_server(authority, pair, ["localhost"])
    assert certificates.serves(authority, pair, ["localhost"])
    assert not certificates.serves(authority, pair, ["localhost", "10.0.0.1"])


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
    assert not certificates.serves(authority, pair, ["localhost"])


@pytest.fixture
def years_later(monkeypatch):
    """Return a function that moves the clock of certificates on."""

    def move(days):
        class Later(datetime.datetime):
            @classmethod
            def now(cls, zone=None):
                return super().now(zone) + datetime.timedelta(days=days)

        monkeypatch.setattr(certificates.datetime, "datetime", Later)

    yield move
    monkeypatch.undo()


def test_an_authority_that_was_made_anew_signs_servers_anew(authority, tmp_path):
    pair = Pair(tmp_path / "s.crt", tmp_path / "s.key")
    certificates.make_server(authority, pair, ["localhost"])
    authority.certificate.unlink()
    authority.key.unlink()
    assert not certificates.certifies(authority)
    certificates.make_authority(authority)
    assert not certificates.serves(authority, pair, ["localhost"])


def test_an_authority_is_prolonged_with_its_key_before_a_server_certificate_outlives_it(
    authority, tmp_path, years_later
):
    pair = Pair(tmp_path / "s.crt", tmp_path / "s.key")
    certificates.make_server(authority, pair, ["localhost"])
    before = authority.load()
    assert certificates.certifies(authority)
    years_later(certificates.CA_DAYS - certificates.SERVER_DAYS)
    assert not certificates.certifies(authority)
    certificates.make_authority(authority)
    assert certificates.certifies(authority)
    after = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
    assert after.not_valid_after_utc > before.not_valid_after_utc
    pair.load().verify_directly_issued_by(after)
