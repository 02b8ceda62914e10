"""Request bodies: the quick decoder and the lenient one never disagree (kes.md 1.4)."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import Malformed
from strongroom.kes.domain.errors import BadCipher
from strongroom.kes.wire import json as wire
from strongroom.kes.wire.errors import error_body, status_and_text
from strongroom.kes.wire.json import DECRYPT, ENCRYPT, GENERATE, HMAC, CryptoBody, crypto_body, import_body

ROUTES = (GENERATE, ENCRYPT, DECRYPT, HMAC)
E30 = base64.b64encode(b"{}").decode()

CASES = [
    (b"{}", CryptoBody()),
    (b"null", CryptoBody()),
    (b'{"context":"e30="}', CryptoBody(b"{}")),
    (b'{"Context":"e30="}', CryptoBody(b"{}")),
    (b'{"CONTEXT":"AAAA","context":"e30="}', CryptoBody(b"{}")),
    (b'{"context":"e30=","Context":"AAAA"}', CryptoBody(b"\0\0\0")),
    (b'{"context":"e3\\n0="}', CryptoBody(b"{}")),
    (b'{"context":null}', CryptoBody()),
    (b'{"context":"e30=","version":"v1"}', CryptoBody(b"{}")),
    (b'  {"context":"e30="} trailing', CryptoBody(b"{}")),
    (b'{"context":"e30="}{"x"', CryptoBody(b"{}")),
    (b'{"context":"e30=","other":{"a":[1]}}', CryptoBody(b"{}")),
    (b'{"context":"e30=","plaintext":5}', CryptoBody(b"{}")),
]
BAD = [b"", b"[]", b"5", b'"x"', b"{", b'{"context":5}', b'{"context":"!"}', b'{"context":"e30"}', b'{"version":1}']


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_accepted(body: bytes, expected: CryptoBody) -> None:
    assert crypto_body(body, GENERATE) == expected


@pytest.mark.parametrize("body", BAD)
def test_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        crypto_body(body, GENERATE)


_values = st.one_of(
    st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
    st.none(),
    st.text(max_size=8),
    st.integers(),
)
_names = st.sampled_from(["context", "Context", "plaintext", "ciphertext", "message", "version", "x"])


@given(st.dictionaries(_names, _values, max_size=4), st.sampled_from(ROUTES), st.sampled_from(["", " ", "\n", "x"]))
def test_both_decoders_agree(members: dict[str, object], route: frozenset[str], behind: str) -> None:
    body = (json.dumps(members, separators=(",", ":")) + behind).encode()
    try:
        expected = wire._lenient_crypto(body, route)
    except Malformed:
        with pytest.raises(Malformed):
            crypto_body(body, route)
        return
    found = crypto_body(body, route)
    for name in route - {"version"}:
        assert getattr(found, name) == getattr(expected, name)


@given(st.binary(max_size=200), st.sampled_from(ROUTES))
def test_any_bytes_are_a_body_or_malformed(body: bytes, route: frozenset[str]) -> None:
    for work in (lambda: crypto_body(body, route), lambda: wire.import_body(body), lambda: wire.bulk_body(body)):
        try:
            work()
        except Malformed:
            continue


def test_old_imports() -> None:
    key = base64.b64encode(bytes(32)).decode()
    assert wire.import_body(json.dumps({"bytes": key}).encode()).cipher is None
    assert wire.import_body(json.dumps({"bytes": key, "algorithm": "AES256"}).encode()).cipher == "AES256"
    assert wire.import_body(json.dumps({"key": key}).encode()).cipher == ""


def test_half_a_surrogate_pair_in_a_request_is_answered() -> None:
    cipher = import_body(b'{"key":"","cipher":"\\ud800x"}').cipher
    status, text = status_and_text(BadCipher(cipher))
    assert (status, json.loads(error_body(text))) == (406, {"message": "algorithm '\ufffdx' is not supported"})
    assert json.loads(error_body("\U0001f511 é")) == {"message": "\U0001f511 é"}
