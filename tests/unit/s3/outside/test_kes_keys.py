"""KES answers and events as the S3 box takes them; the server itself is played in tests/system."""

from types import SimpleNamespace

import pytest

from strongroom.errors import AlreadyExists, Denied, Malformed, NotFound, Unavailable
from strongroom.s3.domain.key_errors import (
    KeyDisabled,
    KeyForbidden,
    KeyNotFound,
    KeyServiceAway,
    KeyServiceFailed,
    WrongCiphertext,
)
from strongroom.s3.outside.kes_failures import translated
from strongroom.s3.outside.kes_keys import KesKeys, generation_number
from strongroom.s3.outside.kes_service import KesService
from strongroom.s3.outside.key_events import KeyEvents
from strongroom.sdk import kes_types


class FakeClient:
    endpoints = ("https://a", "https://b")

    def __init__(self):
        self.generation = ""
        self.failure = None

    async def generate(self, name, context):
        if self.failure:
            raise self.failure
        return SimpleNamespace(
            plaintext=bytes(32), ciphertext=b"sealed", version=2, fingerprint="ab" * 16, generation=self.generation
        )

    async def decrypt(self, name, ciphertext, context):
        return SimpleNamespace(plaintext=bytes(32), generation=self.generation)


@pytest.mark.parametrize(
    ("raised", "seen", "code", "status"),
    [
        (kes_types.KeyNotFound("key does not exist"), KeyNotFound, "kms:KeyNotFound", None),
        (NotFound("404"), KeyNotFound, "kms:KeyNotFound", None),
        (kes_types.KeyDisabled("key is disabled"), KeyDisabled, "KMS.DisabledException", None),
        (kes_types.KeyPendingDeletion("key is waiting"), KeyDisabled, "KMS.DisabledException", None),
        (Denied("insufficient permissions"), KeyForbidden, "kms:NotAuthorized", None),
        (kes_types.NotAuthentic("not authentic"), WrongCiphertext, "kms:InvalidCiphertextException", None),
        (kes_types.StoreUnreachable("key store"), KeyServiceAway, "kms:KeyGenerationFailed", 503),
        (Unavailable("refused"), KeyServiceAway, "kms:KeyGenerationFailed", 503),
        (kes_types.BadKeyName("a/b"), KeyServiceFailed, "kms:KeyGenerationFailed", None),
        (Malformed("not JSON"), KeyServiceFailed, "kms:KeyGenerationFailed", None),
    ],
)
async def test_failures_become_ours(raised, seen, code, status):
    client = FakeClient()
    client.failure = raised
    with pytest.raises(seen) as refused:
        await KesKeys(client, "my-key").generate("a/b", b"{}")
    assert (refused.value.code, refused.value.status) == (code, status)
    assert refused.value.text is None or "a/b" not in refused.value.text


def test_what_operators_get_as_it_is():
    with pytest.raises(AlreadyExists), translated("kms:KeyCreationFailed", "/v1/key/create/k"):
        raise kes_types.KeyExists("key already exists")


async def test_data_keys_know_their_version():
    made = await KesKeys(FakeClient(), "my-key").generate("", b"{}")
    assert (made.key_name, made.version, made.fingerprint) == ("my-key", 2, b"\xab" * 16)


def test_generations():
    assert [generation_number(text) for text in ("", "0", "12-5f", "x", "-1")] == [0, 0, 12, 0, 0]


async def test_a_second_server_cannot_reopen_a_lock():
    client, clock = FakeClient(), SimpleNamespace(now=0.0)
    keys = KesKeys(client, "my-key")
    events, forgotten = KeyEvents(keys, lambda: clock.now), []
    events.forget = forgotten.append
    client.generation = "6-aa"
    assert await keys.unseal("k", b"c", b"")
    events.take("https://a", {"event": "disabled", "key": "k", "generation": "7-bb"})
    with pytest.raises(KeyDisabled):  # under generation 6: this server has not heard
        await keys.unseal("k", b"c", b"")
    assert await keys.unseal("other", b"c", b"")
    events.take("https://b", {"event": "enabled", "key": "k", "generation": "5-99"})  # late news of before
    with pytest.raises(KeyDisabled):
        await keys.generate("k", b"c")
    events.take("https://a", {"event": "enabled", "key": "k", "generation": "8-cc"})
    assert await keys.unseal("k", b"c", b"")
    events.take("https://a", {"event": "reset", "generation": "9-dd"})
    assert forgotten == ["k", "k", "k", None]


async def test_an_answer_under_a_newer_generation_counts_although_the_enabling_was_missed():
    client = FakeClient()
    keys = KesKeys(client, "my-key")
    KeyEvents(keys, lambda: 0.0).take("https://a", {"event": "disabled", "key": "k", "generation": "7-bb"})
    client.generation = "8-cc"
    assert await keys.unseal("k", b"c", b"")


def test_keys_are_kept_long_only_while_a_stream_speaks():
    clock = SimpleNamespace(now=0.0)
    events = KeyEvents(KesKeys(FakeClient(), "my-key"), lambda: clock.now, lock_within=5.0)
    assert events.keep_seconds() == 5.0
    events.take("https://b", {"event": "heartbeat", "generation": "1-a"})
    assert events.keep_seconds() == 300.0
    clock.now = 5.1
    assert events.keep_seconds() == 5.0


@pytest.mark.parametrize("nonsense", [{"plaintext": b""}, {"plaintext": bytes(31)}, {"plaintext": bytes(65)}])
async def test_what_is_no_data_key_is_refused(nonsense):
    client = FakeClient()

    async def answer(*words):
        whole = {"plaintext": bytes(32), "ciphertext": b"sealed", "version": 1, "fingerprint": "", "generation": ""}
        return SimpleNamespace(**{**whole, **nonsense})

    client.generate = client.decrypt = answer
    keys = KesKeys(client, "my-key")
    with pytest.raises(KeyServiceFailed, match="kms:KeyGenerationFailed"):
        await keys.generate("", b"{}")
    with pytest.raises(KeyServiceFailed, match="kms:DecryptionFailed"):
        await keys.unseal("", b"sealed", b"{}")


async def test_a_fingerprint_that_is_none_is_refused():
    client = FakeClient()

    async def answer(*words):
        return SimpleNamespace(plaintext=bytes(32), ciphertext=b"s", version=1, fingerprint="zz", generation="")

    client.generate = answer
    with pytest.raises(KeyServiceFailed):
        await KesKeys(client, "my-key").generate("", b"{}")


@pytest.mark.parametrize("failure", [Unavailable("refused"), Malformed("key is not waiting for its deletion")])
async def test_who_may_change_keys_is_told_why_it_failed(failure):
    async def call():
        raise failure

    with pytest.raises((KeyServiceAway, KeyServiceFailed)) as refused:
        await KesService._lifecycle(SimpleNamespace(), "restore", "my-key", call)
    assert refused.value.text == f"the key server could not restore the key: {failure}"
