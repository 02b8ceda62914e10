"""mc and a server that means harm, or breaks off: names that leave the folder, half answers, wild metadata."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import pytest
from mc_shell import McShell

KEYS = ("../../escaped", "./dot", "/absolute", "a//b", "good", "sub/../../../escaped", "z-last")
ENTRY = "<Contents><Key>{}</Key><Size>4</Size><LastModified>2030-01-01T00:00:00Z</LastModified></Contents>"
ATTRIBUTES = "mode:\u00b2/uid:99999999999999999999/gid:0/mtime:99999999999999999999#1/atime:x"


class _Hostile(BaseHTTPRequestHandler):
    """A bucket `box` with KEYS, and `cut`, which ends in the middle."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = urlsplit(self.path)
        if "list-type=2" in parts.query:
            listed = KEYS if "delimiter=&" in parts.query else ()
            body = "".join(ENTRY.format(quote(key)) for key in listed)
            self._answer(f"<ListBucketResult><EncodingType>url</EncodingType>{body}</ListBucketResult>".encode())
        elif parts.query:
            self._answer(b"<LocationConstraint/>")
        elif unquote(parts.path).endswith("cut"):
            self._answer(b"half\nof it", 1000)
            self.close_connection = True
        else:
            self._answer(b"data")

    def do_HEAD(self):
        self._answer(b"", 1000 if self.path.endswith("cut") else 4)

    def do_POST(self):
        self.server.deleted = True
        self._answer(b"<DeleteResult/>")

    def _answer(self, body, length=None):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("ETag", '"e"')
        self.send_header("x-amz-meta-mc-attrs", ATTRIBUTES.encode().decode("latin-1"))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


class _Servers:
    def __init__(self, port):
        self.ports = dict.fromkeys(("my", "kes", "tls"), port)
        self.authority = type("Nobody", (), {"certificate": ""})


@pytest.fixture
def hostile():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hostile)
    server.deleted = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def shell(hostile, tmp_path):
    folder = tmp_path / "one" / "two" / "three"
    folder.mkdir(parents=True)
    made = McShell(folder, _Servers(hostile.server_port))
    del made.environ["MC_CA"]
    return made


@pytest.mark.parametrize("words", [("mirror", "my/box", "target"), ("cp", "-r", "my/box/", "target/")])
def test_no_name_leaves_the_target_and_the_others_arrive(shell, tmp_path, words):
    out = shell.run(*words, code=1)
    found = {str(path.relative_to(shell.folder)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith("mc/")} == {"target/good", "target/z-last"}
    assert out.count("cannot be a path below `target") == 5


@pytest.mark.parametrize("words", [("cp", "my/box/x/..", "target/"), ("get", "my/box/x/..", "target/"),
                                   ("cp", "my/box/x/.", "target/")])  # fmt: skip
def test_a_single_name_does_not_leave_it_either(shell, words):
    (shell.folder / "target").mkdir()
    assert "cannot be a path below `target/`" in shell.run(*words, code=1)


def test_half_an_object_is_an_error(shell, hostile):
    assert shell.run("cat", "my/box/cut", code=1).startswith("half\nof it")
    assert "are missing" in shell.run("head", "-n", "100", "my/box/cut", code=1)
    assert "are missing" in shell.run("mv", "my/box/cut", "whole", code=1)
    assert not (shell.folder / "whole").exists()
    assert not hostile.deleted


def test_wild_metadata_does_no_harm(shell):
    shell.run("cp", "-a", "my/box/good", "good")
    assert (shell.folder / "good").read_bytes() == b"data"
