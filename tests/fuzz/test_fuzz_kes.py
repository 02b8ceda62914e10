"""Random requests against a key server: only documented statuses, no traceback. Longer by `make fuzz`."""

import asyncio
import json
from pathlib import Path
from urllib.parse import quote

import kes_world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongroom.kes import app
from strongroom.kes.domain.policy import Policy
from strongroom.kes.domain.settings import AuditSettings, FsSettings, Settings, TlsSettings
from strongroom.kes.handlers.routes import ROUTES
from strongroom.messages import Peer, Request, Response
from strongroom.observe.log import OFF, Log

DOCUMENTED = {200, 307, 400, 403, 404, 405, 406, 409, 502, 504}
_arguments = st.one_of(st.sampled_from(["mine", "new", "gone", "*", "m*", ""]), st.text(max_size=12))
_paths = st.one_of(
    st.builds(lambda route, text: route.path + text, st.sampled_from(ROUTES), _arguments),
    st.text(alphabet="/.%abc012*?-_", max_size=30).map(lambda text: "/" + text),
)
_bodies = st.one_of(
    st.binary(max_size=80),
    st.dictionaries(
        st.sampled_from(["context", "plaintext", "ciphertext", "message", "key", "cipher", "bytes", "after"]),
        st.one_of(st.text(max_size=10), st.integers(), st.none(), st.sampled_from(["e30=", "AES256", "ChaCha20"])),
    ).map(lambda members: json.dumps(members).encode()),
)
_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.sampled_from(["e30=", "eA"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["ciphertext", "context", "bytes", "KEY", "plaintext"]), inner, max_size=4),
    ),
    max_leaves=8,
)
_all_bodies = st.one_of(
    _bodies,
    _json.map(lambda value: json.dumps(value).encode()),
    st.integers(1, 3000).map(lambda depth: b"[" * depth + b"{}" * (depth % 2)),
    st.builds(lambda body, tail: body + tail, _bodies, st.binary(max_size=20)),
    st.integers(0, 3000).map(lambda count: json.dumps([{"ciphertext": "e30="}] * count).encode()),
)
_PEM = quote((kes_world.clients()["app"].cert).decode(), safe="")
_headers = st.dictionaries(
    st.sampled_from(
        ["accept", "x-request-id", "x-tls-client-cert", "x-forwarded-for", "content-type", "content-encoding", "te"]
    ),
    st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
        st.sampled_from(["application/x-ndjson", "*/*;q=x", _PEM, f"{_PEM}, {_PEM}", "%A-----BEGIN", "1.2.3.4, ::1"]),
        st.integers(1, 70_000).map("x".__mul__),
    ),
    max_size=4,
)
_methods = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS"])


class Whole:
    """A body that has arrived."""

    def __init__(self, data: bytes, *, chunked: bool) -> None:
        self.buffered, self.length = data, None if chunked else len(data)


def test_any_request(tmp_path: Path) -> None:
    kes_world.server().write(tmp_path)
    loop = asyncio.new_event_loop()
    clients = kes_world.clients()
    made = Settings(
        host="127.0.0.1",
        port=0,
        admin=clients["admin"].identity,
        policies=(Policy("all", ("*",), (), (clients["app"].identity,)),),
        tls=TlsSettings(str(tmp_path / "kes.key"), str(tmp_path / "kes.crt"), proxies=(clients["nopolicy"].identity,)),
        store=FsSettings(str(tmp_path / "keys")),
        keys=("mine",),
        audit=AuditSettings(console=False, file=str(tmp_path / "audit.log")),
    )
    running = loop.run_until_complete(app.start(made, log=Log(OFF + 1)))
    ders = {name: _der(one.cert) for name, one in clients.items()} | {"none": ()}

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        _methods,
        _paths,
        _all_bodies,
        st.booleans(),
        st.sampled_from(["admin", "app", "nopolicy", "ca", "two", "none"]),
        _headers,
    )
    def one(method: str, path: str, body: bytes, chunked: bool, who: str, headers: dict[str, str]) -> None:
        raw, _, query = path.partition("?")
        target = "".join(letter if letter.isascii() else "%E2%98%B0" for letter in raw)
        peer = Peer("127.0.0.1", 1, True, ders[who])
        request = Request(method, target, target, query, {"host": "x", **headers}, (), peer)
        answer = running.entrance(request, Whole(body, chunked=chunked))
        if not isinstance(answer, Response):
            answer = loop.run_until_complete(answer)
        assert answer.status in DOCUMENTED, (method, path, body, headers, answer)

    try:
        one()
    finally:
        loop.run_until_complete(running.stop(0))
        loop.close()


def _der(pem: bytes) -> tuple[bytes, ...]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    return tuple(one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(pem))
