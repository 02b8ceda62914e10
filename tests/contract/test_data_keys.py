"""What every kind of DataKeys promises: the S3 box's port for data keys."""

import time

import pytest

from strongroom.chain.certificates import Pair, make_authority, make_identity, make_server
from strongroom.config.kms_environment import KesSettings
from strongroom.errors import NotFound, Tampered
from strongroom.kes.app import start
from strongroom.kes.domain.policy import Policy
from strongroom.kes.domain.settings import Settings, TlsSettings
from strongroom.observe.log import OFF, Log
from strongroom.s3.outside.kes_service import KesService
from strongroom.s3.outside.key_cache import CachedKeys
from strongroom.s3.outside.static_key import StaticKey

CONTEXT = b'{"bucket":"bucket/object"}'


async def static(folder):
    yield StaticKey("my-key", bytes(range(32)))


async def cached(folder):
    yield CachedKeys(StaticKey("my-key", bytes(range(32))), "my-key", time.monotonic, lambda: 300.0)


async def kes(folder):
    authority, server, client = (Pair(folder / f"{n}.crt", folder / f"{n}.key") for n in ("ca", "server", "client"))
    make_authority(authority)
    make_server(authority, server, ["127.0.0.1"])
    identity = make_identity(client, "s3")
    tls = TlsSettings(str(server.key), str(server.certificate))
    policy = Policy("s3", ("/v1/key/*",), identities=(identity,))
    app = await start(Settings("127.0.0.1", 0, "0" * 64, tls, (policy,), keys=("my-key",)), log=Log(OFF))
    ca = str(authority.certificate)
    endpoints = (f"https://127.0.0.1:{app.port}",)
    service = KesService(KesSettings(endpoints, "my-key", "", str(client.key), str(client.certificate), "", ca))
    yield service.direct
    await service.close()
    await app.stop(0.1)


@pytest.fixture(params=[static, cached, kes], ids=lambda make: make.__name__)
async def keys(request, tmp_path):
    source = request.param(tmp_path)
    yield await anext(source)
    async for _ in source:
        pass


async def test_a_data_key_opens_under_its_name_and_context(keys):
    made = await keys.generate("", CONTEXT)
    assert made.key_name == "my-key"
    assert len(made.plaintext) == 32
    for name in ("", "my-key"):
        assert await keys.unseal(name, made.ciphertext, CONTEXT) == made.plaintext


async def test_nothing_else_opens_it(keys):
    made = await keys.generate("my-key", CONTEXT)
    changed = made.ciphertext[:-1] + bytes([made.ciphertext[-1] ^ 1])
    for ciphertext, context in ((made.ciphertext, b"{}"), (changed, CONTEXT), (b"", CONTEXT), (b"{}", CONTEXT)):
        with pytest.raises(Tampered):
            await keys.unseal("my-key", ciphertext, context)


async def test_an_unknown_key_is_not_found(keys):
    with pytest.raises(NotFound):
        await keys.generate("no-such-key", CONTEXT)
    with pytest.raises(NotFound):
        await keys.unseal("no-such-key", bytes(76), CONTEXT)


async def test_data_keys_differ_unless_they_may_be_shared(keys):
    made = [await keys.generate("", CONTEXT) for _ in range(3)]
    assert len({bytes(one.plaintext) for one in made}) == 3
    shared = [await keys.generate("", CONTEXT, shared=True) for _ in range(3)]
    for one in shared:
        assert await keys.unseal("", one.ciphertext, CONTEXT) == one.plaintext


async def test_the_version_that_sealed_is_told(keys):
    made = await keys.generate("", CONTEXT)
    assert made.version == 1
    assert len(made.fingerprint) == 16
