"""Random requests against a key server: only documented statuses, no traceback. Longer by `make fuzz`."""

import asyncio
import json
from pathlib import Path

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
        tls=TlsSettings(str(tmp_path / "kes.key"), str(tmp_path / "kes.crt")),
        store=FsSettings(str(tmp_path / "keys")),
        keys=("mine",),
        audit=AuditSettings(console=False, file=str(tmp_path / "audit.log")),
    )
    running = loop.run_until_complete(app.start(made, log=Log(OFF + 1)))
    ders = {name: _der(one.cert) for name, one in clients.items()} | {"none": ()}

    @settings(deadline=None, suppress_health_check=list(HealthCheck))
    @given(_methods, _paths, _bodies, st.booleans(), st.sampled_from(["admin", "app", "nopolicy", "ca", "two", "none"]))
    def one(method: str, path: str, body: bytes, chunked: bool, who: str) -> None:
        raw, _, query = path.partition("?")
        target = "".join(letter if letter.isascii() else "%E2%98%B0" for letter in raw)
        peer = Peer("127.0.0.1", 1, True, ders[who])
        request = Request(method, target, target, query, {"host": "x"}, (), peer)
        answer = running.entrance(request, Whole(body, chunked=chunked))
        if not isinstance(answer, Response):
            answer = loop.run_until_complete(answer)
        assert answer.status in DOCUMENTED, (method, path, body, answer)

    try:
        one()
    finally:
        loop.run_until_complete(running.stop(0))
        loop.close()


def _der(pem: bytes) -> tuple[bytes, ...]:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    return tuple(one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(pem))
