"""Transit as clients call it: what OpenBao 2.7.2 answers to the same requests (seen)."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from kms_replay import ask, post, unsealed

TEXT = base64.b64encode(b"hello").decode()


async def engine(folder, **kinds):
    replay = await unsealed(folder)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    for name, kind in kinds.items():
        await ask(replay, "POST", f"transit/keys/{name}", {"type": kind.replace("_", "-")})
    return replay


async def batch(replay, path, items):
    status, found = await post(replay, f"transit/{path}", {"batch_input": items}, replay.known["root"])
    return status, (found.get("data") or found).get("batch_results") or found["errors"][0]


async def test_line_ends_in_base64_are_passed_over(tmp_path):
    replay = await engine(tmp_path, k="aes256_gcm96")
    plain = base64.encodebytes(bytes(100)).decode()
    assert plain.count("\n") == 2
    made = await ask(replay, "POST", "transit/encrypt/k", {"plaintext": plain, "associated_data": "YQ=\r\n=\n"})
    body = {"ciphertext": made["data"]["ciphertext"], "associated_data": "YQ=="}
    opened = await ask(replay, "POST", "transit/decrypt/k", body)
    assert base64.b64decode(opened["data"]["plaintext"]) == bytes(100)
    status, found = await post(replay, "transit/encrypt/k", {"plaintext": "YQ==\n!"}, replay.known["root"])
    assert (status, found["errors"][0][:26]) == (400, "illegal base64 data at inp")


@pytest.mark.parametrize("size", [5, 20, 32, 48, 64])
async def test_ecdsa_signs_hashes_of_any_length(tmp_path, size):
    replay = await engine(tmp_path, e="ecdsa_p256")
    data = {"input": base64.b64encode(bytes(range(size))).decode(), "prehashed": True}
    made = (await ask(replay, "POST", "transit/sign/e", data))["data"]["signature"]
    checked = await ask(replay, "POST", "transit/verify/e", data | {"signature": made})
    assert checked["data"]["valid"]
    shown = (await ask(replay, "GET", "transit/keys/e"))["data"]["keys"]["1"]["public_key"]
    assert shown.endswith("-----END PUBLIC KEY-----\n")
    public = serialization.load_pem_public_key(shown.encode())
    digest = bytes(range(size))[:32].rjust(32, b"\0")  # the leftmost bits, as many as the order has
    public.verify(base64.b64decode(made[9:]), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


async def test_a_rewrapped_batch_tells_of_each_item(tmp_path):
    replay = await engine(tmp_path, k="aes256_gcm96")
    sealed = (await ask(replay, "POST", "transit/encrypt/k", {"plaintext": TEXT}))["data"]["ciphertext"]
    items = [{"ciphertext": sealed}, {"reference": "r"}, {"ciphertext": "x"}]
    status, found = await batch(replay, "rewrap/k", items)
    assert status == 200
    assert found[0]["key_version"] == 1
    assert found[1] == {"error": "missing ciphertext to decrypt", "reference": "r"}
    assert found[2]["error"] == "invalid ciphertext: no prefix"


async def test_contexts_of_a_batch_agree_in_every_operation(tmp_path):
    replay = await engine(tmp_path, k="aes256_gcm96")
    items = [{"plaintext": TEXT, "ciphertext": "vault:v1:x", "context": TEXT}, {"plaintext": TEXT, "ciphertext": "x"}]
    for operation in ("encrypt", "decrypt", "rewrap"):
        answer = await batch(replay, f"{operation}/k", items)
        assert answer == (400, "context should be set either in all the request blocks or in none"), operation


async def test_an_item_without_input_is_not_signed(tmp_path):
    replay = await engine(tmp_path, e="ecdsa_p256")
    _, found = await batch(replay, "sign/e", [{"input": TEXT}, {}, {"input": ""}])
    assert [item.get("error") for item in found] == [None, "missing input", None]
    signature = found[0]["signature"]
    _, found = await batch(replay, "verify/e", [{"input": TEXT, "signature": signature}, {"signature": signature}])
    assert found == [{"valid": True, "reference": ""}, {"valid": False, "error": "missing input", "reference": ""}]


@pytest.mark.parametrize(
    ("items", "complaint"),
    [
        ([{"input": TEXT}], "no batch_input elements have 'signature' or 'hmac'"),
        ([{"signature": "x"}, {}], "some elements of batch_input are missing 'signature'"),
        ([{"hmac": "x"}, {}], "some elements of batch_input are missing 'hmac'"),
        (
            [{"hmac": "x"}, {"signature": "x"}],
            "elements of batch_input must all provide 'signature' or all provide 'hmac'",
        ),
    ],
)
async def test_a_batch_is_verified_by_one_kind_of_evidence(tmp_path, items, complaint):
    replay = await engine(tmp_path, e="ecdsa_p256")
    assert await batch(replay, "verify/e", items) == (400, complaint)


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("hmac/k", {"input": TEXT, "key_version": 9}, "key version does not exist; latest key version is 2"),
        (
            "hmac/k",
            {"input": TEXT, "key_version": 1},
            "cannot generate HMAC: version is too old (disallowed by policy)",
        ),
        (
            "sign/e",
            {"input": TEXT, "key_version": 9},
            "requested version for signing is higher than the latest key version",
        ),
        ("sign/e", {"input": TEXT, "salt_length": "x"}, "salt length neither 'auto', 'hash', nor an int: x"),
        (
            "encrypt/e",
            {"plaintext": TEXT, "key_version": 9},
            "message encryption not supported for key type ecdsa-p256",
        ),
        ("decrypt/e", {"ciphertext": "x"}, "message decryption not supported for key type ecdsa-p256"),
        ("decrypt/c", {"ciphertext": "vault:v1:" + "A" * 64}, "chacha20poly1305: message authentication failed"),
        ("verify/k", {"input": TEXT, "hmac": "x"}, "invalid HMAC to verify: no prefix"),
    ],
)
async def test_complaints(tmp_path, path, body, complaint):
    replay = await engine(tmp_path, k="aes256_gcm96", e="ecdsa_p256", c="chacha20_poly1305")
    await ask(replay, "POST", "transit/keys/k/rotate")
    await ask(replay, "POST", "transit/keys/k/config", {"min_encryption_version": 2})
    status, found = await post(replay, "transit/" + path, body, replay.known["root"])
    assert (status, found["errors"]) == (400, [complaint])


async def test_a_softly_deleted_key_does_nothing_until_it_is_restored(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/mounts/transit", {"type": "transit"})
    await ask(replay, "POST", "transit/keys/k", {"exportable": True, "allow_plaintext_backup": True})
    sealed = (await ask(replay, "POST", "transit/encrypt/k", {"plaintext": TEXT}))["data"]["ciphertext"]
    assert (await ask(replay, "DELETE", "transit/keys/k/soft-delete"))["data"]["soft_deleted"]
    assert await ask(replay, "DELETE", "transit/keys/none/soft-delete") == {}
    root = {"X-Vault-Token": replay.known["root"]}
    body = json.dumps({"plaintext": TEXT, "ciphertext": sealed, "input": TEXT}).encode()
    for path in ("encrypt/k", "decrypt/k", "rewrap/k", "hmac/k", "datakey/wrapped/k", "keys/k/rotate"):
        answer = await replay.request("POST", f"/v1/transit/{path}", root, body)
        assert (answer.status >= 400, b"refusing to use soft-deleted key" in answer.body) == (True, True), path
    for path in ("export/encryption-key/k", "backup/k"):
        answer = await replay.request("GET", f"/v1/transit/{path}", root, b"")
        assert (answer.status, b"refusing to use soft-deleted key" in answer.body) == (500, True), path
    assert (await replay.request("POST", "/v1/transit/keys/k/soft-delete", root, b"")).status == 405
    assert not (await ask(replay, "POST", "transit/keys/k/soft-delete-restore"))["data"]["soft_deleted"]
    assert (await ask(replay, "POST", "transit/decrypt/k", {"ciphertext": sealed}))["data"]["plaintext"] == TEXT
