"""Whatever answers at the address of a key server, `kes` says in one line that it is none, and exits."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import kes_world
import pytest

from strongroom.cli.kes import connect
from strongroom.cli.kes.main import main
from strongroom.messages import Body, Request, Response
from strongroom.net.server import listen
from strongroom.net.tls_openssl import any_client_tls
from strongroom.sdk import kes_transport

ANSWERS = {
    "a page": (200, "text/html", b"<html>x</html>"),
    "a list": (200, "application/json", b"[7]"),
    "nothing in it": (200, "application/json", b"{}"),
    "null": (200, "application/json", b"null"),
    "text": (200, "application/json", b'"x"'),
    "other types": (
        200,
        "application/json",
        b'{"names":7,"identities":"abc","keys":5,"plaintext":7,"ciphertext":"!!","created_at":7,"created_by":9,'
        b'"name":[],"allow":[1],"uptime":"x","policy":5,"identity":5}',
    ),
    "other items": (200, "application/json", b'{"names":[1,2],"identities":[null],"keys":[{}]}'),
    "lines": (200, "application/x-ndjson", b"\n[1]\nxx\n"),
    "much depth": (200, "application/json", b"[" * 50_000),
    "not found": (404, "text/html", b"<html>"),
    "failed": (500, "", b""),
}
COMMANDS = (
    "key ls",
    "key ls --long",
    "key info x",
    "key encrypt x y",
    "key decrypt x eHh4",
    "key dek x",
    "key rotate x",
    "key delete --json x",
    "key state x",
    "policy ls",
    "policy info x",
    "policy show x",
    "identity info",
    "identity ls",
    "ls",
    "log --json",
    "log --error",
    "status",
    "status --api",
)


class Strange:
    """Answers everything with `answer`."""

    answer = ANSWERS["null"]

    def __call__(self, request: Request, body: Body) -> Response:
        status, kind, text = self.answer
        return Response(status, (("Content-Type", kind),), text)


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Strange, int, Path]]:
    folder, handler, loop = tmp_path_factory.mktemp("strange"), Strange(), asyncio.new_event_loop()
    kes_world.server().write(folder)
    tls = any_client_tls(folder / "kes.crt", folder / "kes.key", require_certificate=False)
    server = loop.run_until_complete(listen(handler, "127.0.0.1", 0, tls=tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield handler, server.port, folder
    asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.mark.parametrize("answer", ANSWERS)
def test_one_line_says_so(
    strange: tuple[Strange, int, Path], answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler, port, folder = strange
    for name in (*connect.SERVER, *connect.API_KEY, *connect.KEY, *connect.CERT):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KES_SERVER", f"127.0.0.1:{port}")
    monkeypatch.setenv("KES_API_KEY", kes_world.api_key("admin"))
    monkeypatch.setenv("KES_CA", str(folder / "kes.crt"))
    monkeypatch.setattr(kes_transport, "RETRY_SECONDS", 0.0)
    handler.answer = ANSWERS[answer]
    for words in COMMANDS:
        code = main(words.split(), "kes")  # and no traceback
        told = capsys.readouterr().err
        assert (code, told.count("\n")) in {(0, 0), (1, 1)}, (words, told)
