"""Creating a key in GCP's store takes two requests: what an error between or behind them leaves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cloud_doubles
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strongroom.kes.domain.errors import KeyExists, KeyNotFound, StoreFailed
from strongroom.kes.domain.settings import GcpSettings
from strongroom.kes.outside import rest
from strongroom.kes.outside.gcp import GcpStore

KEY = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[cloud_doubles.Gcp, GcpStore]]:
    monkeypatch.setattr(rest, "RETRIES", 1)
    double = cloud_doubles.Gcp()
    async with cloud_doubles.serving(double) as url:
        settings = GcpSettings("p", url, (), "a@b", "1", "k", KEY)
        store = await GcpStore.connect(settings, token_url=f"{url}/token")
        yield double, store
        await store.close()


@pytest.mark.parametrize("lost", [1, 2])
async def test_a_version_whose_answer_was_an_error_is_found(monkeypatch: pytest.MonkeyPatch, lost: int) -> None:
    """One lost answer: the second attempt makes version 2. Two: no attempt succeeds. The key is there all the same."""
    async with serving(monkeypatch) as (double, store):
        double.lost_answers = lost
        await store.create("mine", b"value")
        assert await store.get("mine") == b"value"
        with pytest.raises(KeyExists):
            await store.create("mine", b"other")


async def test_a_half_made_secret_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(monkeypatch) as (double, store):
        double.secrets["mine"] = []
        with pytest.raises(KeyNotFound):
            await store.get("mine")
        await store.create("mine", b"value")
        assert await store.get("mine") == b"value"


async def test_a_value_that_was_not_stored_is_reported_and_can_be_created_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(monkeypatch) as (double, store):
        await store.create("warm", b"up")  # has fetched the token
        serve = double.serve

        def refusing(method: str, path: str, *rest: object) -> object:
            return cloud_doubles.answer(500) if path.endswith(":addVersion") else serve(method, path, *rest)

        double.serve = refusing
        with pytest.raises(StoreFailed):
            await store.create("mine", b"value")
        double.serve = serve
        await store.create("mine", b"second")
        assert await store.get("mine") == b"second"
