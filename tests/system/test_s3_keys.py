"""The S3 box's key service against our own key server, over mTLS in one process."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from strongroom.chain.certificates import Pair, make_authority, make_identity, make_server
from strongroom.config.kms_environment import KesSettings
from strongroom.errors import AlreadyExists, BadSettings
from strongroom.kes.app import start
from strongroom.kes.domain.policy import Policy
from strongroom.kes.domain.settings import FsSettings, LockSettings, Settings, TlsSettings
from strongroom.observe.log import OFF, Log
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.key_errors import (
    KeyDisabled,
    KeyForbidden,
    KeyNotFound,
    KeyServiceAway,
    KeyServiceFailed,
    WrongCiphertext,
)
from strongroom.s3.domain.sealing import new_seal, open_seal
from strongroom.s3.outside.kes_service import KesService

ALL = ("/v1/key/*", "/v1/lifecycle/*", "/v1/status", "/v1/api", "/version")
GUIDE = ("/v1/key/create/minio-*", "/v1/key/generate/minio-*", "/v1/key/decrypt/minio-*")


class Chain:
    """A folder with certificates, a key server's settings, and how to reach it."""

    def __init__(self, folder):
        self.folder = folder
        authority = self.pair("authority")
        make_authority(authority)
        make_server(authority, self.pair("kes"), ["127.0.0.1", "localhost"])
        self.identity = make_identity(self.pair("s3"), "s3")
        self.ports = []

    def pair(self, name):
        return Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def settings(self, allow=ALL, port=0, within=1.0):
        server = self.pair("kes")
        return Settings(
            host="127.0.0.1",
            port=port,
            admin="0" * 64,
            tls=TlsSettings(str(server.key), str(server.certificate)),
            policies=(Policy("s3", allow, identities=(self.identity,)),),
            lock=LockSettings(within),
            store=FsSettings(str(self.folder / "keys")),
        )

    @asynccontextmanager
    async def kes(self, allow=ALL, port=0, within=1.0):
        app = await start(self.settings(allow, port, within), log=Log(OFF))
        try:
            yield app
        finally:
            await app.stop(0.1)

    @asynccontextmanager
    async def service(self, *ports, key_name="minio-key-1", within=1.0):
        client = self.pair("s3")
        endpoints = tuple(f"https://127.0.0.1:{port}" for port in ports)
        settings = KesSettings(
            endpoints,
            key_name,
            "",
            str(client.key),
            str(client.certificate),
            "",
            str(self.pair("authority").certificate),
        )
        service = KesService(settings, lock_within=within)
        try:
            yield service
        finally:
            await service.close()


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "keys").mkdir()
    return Chain(tmp_path)


async def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


async def test_the_default_key_is_created_and_objects_are_sealed_under_it(chain):
    async with chain.kes() as kes, chain.service(kes.port) as service:
        assert await service.start() == []
        assert await service.names("") == ["minio-key-1"]
        assert await service.start() == []
        for want in (Encryption(Kind.S3), Encryption(Kind.KMS, "minio-key-1", {"a": "b"})):
            seal = await new_seal(want, "bucket", "object", service.keys)
            assert (seal.info.key_version, len(seal.info.fingerprint)) == (1, 32)
            sealed = seal.seal_small(b"hello")
            opened = await open_seal(seal.metadata, "bucket", "object", service.keys)
            assert opened.open_small(sealed, 5) == b"hello"


async def test_bucket_keys_spare_the_key_server(chain):
    """Sse.md 18 rows 3 and 24."""
    async with chain.kes() as kes, chain.service(kes.port) as service:
        await service.start()
        seals = [await new_seal(Encryption(Kind.S3), "bucket", f"o{n}", service.keys) for n in range(20)]
        ciphertexts = {seal.metadata["X-Minio-Internal-Server-Side-Encryption-S3-Kms-Sealed-Key"] for seal in seals}
        assert len(ciphertexts) == 1
        other = await new_seal(Encryption(Kind.S3), "other", "o", service.keys)
        single = await new_seal(Encryption(Kind.S3, bucket_key=False), "bucket", "o", service.keys)
        names = "X-Minio-Internal-Server-Side-Encryption-S3-Kms-Sealed-Key"
        assert not {other.metadata[names], single.metadata[names]} & ciphertexts


async def test_what_the_key_server_refuses(chain):
    async with chain.kes() as kes, chain.service(kes.port) as service:
        await service.start()
        keys = service.keys
        with pytest.raises(KeyNotFound):
            await keys.generate("no-such-key", b"{}")
        with pytest.raises(KeyServiceFailed):
            await keys.generate("a/b", b"{}")
        made = await keys.generate("", b"{}")
        with pytest.raises(WrongCiphertext):
            await keys.unseal("", made.ciphertext, b'{"a":"b"}')
        with pytest.raises(AlreadyExists):
            await service.create("minio-key-1")


async def test_the_first_guides_policy_is_enough_for_objects(chain):
    async with chain.kes(GUIDE) as kes, chain.service(kes.port) as service:
        assert await service.start() == []
        assert (await service.keys.generate("", b"{}")).key_name == "minio-key-1"
        with pytest.raises(KeyForbidden):
            await service.keys.generate("other", b"{}")
        with pytest.raises(KeyForbidden) as refused:
            await service.change("disable", "minio-key-1")
        assert "/v1/lifecycle/disable/minio-key-1" in refused.value.text
        assert await service.endpoints() == {f"https://127.0.0.1:{kes.port}": "online"}
    async with chain.kes(GUIDE) as kes, chain.service(kes.port, key_name="other") as service:
        assert "cannot be used" in (await service.start())[0]


async def test_a_lock_holds_at_once_and_is_lifted(chain):
    async with chain.kes() as kes, chain.service(kes.port) as service:
        await service.start()
        await until(lambda: service.events.live)
        seal = await new_seal(Encryption(Kind.S3), "bucket", "object", service.keys)
        assert await open_seal(seal.metadata, "bucket", "object", service.keys)
        async with chain.service(kes.port) as operator:
            await operator.change("disable", "minio-key-1")
        await until(lambda: "minio-key-1" in service.direct.denied, 1.0)
        for attempt in (
            lambda: open_seal(seal.metadata, "bucket", "object", service.keys),
            lambda: new_seal(Encryption(Kind.S3), "bucket", "object", service.keys),
        ):
            with pytest.raises(KeyDisabled):
                await attempt()
        assert (await service.describe("minio-key-1"))["state"] == "disabled"
        await service.change("enable", "minio-key-1")
        await until(lambda: "minio-key-1" not in service.direct.denied)
        assert await open_seal(seal.metadata, "bucket", "object", service.keys)


async def test_a_lock_holds_through_a_second_key_server(chain):
    async with chain.kes() as one, chain.kes() as two, chain.service(one.port, two.port) as service:
        await service.start()
        await until(lambda: len(service.events._heard) == 2)
        seal = await new_seal(Encryption(Kind.S3), "bucket", "object", service.keys)
        async with chain.service(two.port) as operator:
            await operator.change("disable", "minio-key-1")
        await until(lambda: "minio-key-1" in service.direct.denied, 2.0)
        with pytest.raises(KeyDisabled):
            await open_seal(seal.metadata, "bucket", "object", service.keys)


async def test_rotation_seals_new_objects_under_the_new_version(chain):
    async with chain.kes() as kes, chain.service(kes.port) as service:
        await service.start()
        await until(lambda: service.events.live)
        old = await new_seal(Encryption(Kind.S3), "bucket", "object", service.keys)
        assert (await service.change("rotate", "minio-key-1"))["version"] == 2
        new = await new_seal(Encryption(Kind.S3), "bucket", "object", service.keys)
        assert (old.info.key_version, new.info.key_version) == (1, 2)
        assert old.info.fingerprint != new.info.fingerprint
        for seal in (old, new):
            assert await open_seal(seal.metadata, "bucket", "object", service.keys)


async def test_a_key_server_that_goes_away_and_comes_back(chain):
    """Sse.md 18 row 9."""
    async with chain.service(1, within=0.2) as service:
        service.client._timeout = 1.0
        with pytest.raises(KeyServiceAway) as away:
            await service.start()
        assert away.value.status == 503
        assert await service.endpoints() == {"https://127.0.0.1:1": "offline"}
    async with chain.kes() as kes:
        port = kes.port
        async with chain.service(port, within=0.5) as service:
            await service.start()
            seal = await new_seal(Encryption(Kind.S3), "bucket", "object", service.keys)
            await kes.stop(0.1)
            assert await open_seal(seal.metadata, "bucket", "object", service.keys)  # for as long as a lock may take
            await until(lambda: not service.events.live)
            await asyncio.sleep(0.5)
            with pytest.raises(KeyServiceAway):
                await open_seal(seal.metadata, "bucket", "object", service.keys)
            async with chain.kes(port=port):
                assert await open_seal(seal.metadata, "bucket", "object", service.keys)


async def test_two_endpoints_fail_over(chain):
    async with chain.kes() as kes, chain.service(1, kes.port) as service:
        assert await service.start() == []
        assert set((await service.endpoints()).values()) == {"online", "offline"}


async def test_a_client_certificate_is_read_again(chain):
    async with chain.kes() as kes, chain.service(kes.port) as service:
        await service.start()
        pair = chain.pair("s3")
        old = pair.key.read_bytes(), pair.certificate.read_bytes()
        pair.key.write_bytes(b"broken")
        service.reload()
        assert await service.keys.generate("", b"{}")
        pair.key.write_bytes(old[0])
        make_identity(pair, "another")  # which the policy does not know
        service.reload()
        await service.client._http.close()
        with pytest.raises(KeyForbidden):
            await service.keys.generate("", b"{}")


def test_certificates_that_cannot_be_used(chain):
    for name, what in (("none", "certificate"), ("s3", "private key")):
        pair = chain.pair(name)
        key = pair.key if name == "none" else chain.folder / "none.key"
        settings = KesSettings(("https://127.0.0.1:1",), "k", "", str(key), str(pair.certificate))
        with pytest.raises(BadSettings, match=f"Unable to load KES client {what}"):
            KesService(settings)
