"""Certificates of a chain that runs for years."""

import asyncio

import pytest

from strongroom.chain import certificates, renewal, settings
from strongroom.chain.folder import Chain, Folder

CHAIN = Chain("127.0.0.1:8200", "127.0.0.1:7373", "127.0.0.1:9000", True, "strongroom")


@pytest.fixture
def folder(tmp_path):
    place = Folder(tmp_path / "data")
    place.make(CHAIN)
    return place


def test_what_lasts_is_kept(folder):
    assert renewal.renew(folder, CHAIN) == ["kms", "kes", "s3"]
    assert renewal.renew(folder, CHAIN) == []


async def test_a_running_chain_gets_new_certificates_in_time(folder, monkeypatch):
    renewal.renew(folder, CHAIN)
    pair = settings.server_pair(folder, "kes")
    with monkeypatch.context() as short:
        short.setattr(certificates, "SERVER_DAYS", certificates.RENEW_DAYS - 1)
        certificates.make_server(settings.authority_pair(folder), pair, ["localhost"])
    before = pair.load()
    monkeypatch.setattr(renewal, "LOOK_SECONDS", 0.01)
    reloaded, said = [], asyncio.Queue()

    async def reload(box):
        reloaded.append(box)

    keeping = asyncio.create_task(renewal.keep_renewed(folder, CHAIN, reload, said.put_nowait))
    assert await said.get() == "kes has a new certificate"
    keeping.cancel()
    assert reloaded == ["kes"]
    assert pair.load().not_valid_after_utc > before.not_valid_after_utc


async def test_a_failed_renewal_is_said_and_tried_again(folder, monkeypatch):
    monkeypatch.setattr(renewal, "LOOK_SECONDS", 0.01)
    said = asyncio.Queue()
    (folder / "certs/s3").rename(folder / "certs/away")

    async def reload(box):
        pass

    keeping = asyncio.create_task(renewal.keep_renewed(folder, CHAIN, reload, said.put_nowait))
    assert "were not renewed" in await said.get()
    (folder / "certs/away").rename(folder / "certs/s3")
    while (message := await said.get()) != "s3 has a new certificate":
        assert "certificate" in message
    keeping.cancel()
