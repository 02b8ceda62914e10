"""Every recorded request, in order, against a server with the recorded configuration."""

import asyncio
import contextlib
import dataclasses
import json
import re
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import kes_world
import pytest
from OpenSSL import SSL

from strongroom.config.kes import loads
from strongroom.kes import app
from strongroom.observe.log import OFF, Log

CASES = kes_world.load("http.json")
OURS = kes_world.overrides()["http"]
SERVERS = kes_world.load("servers.json")
MB_BODIES = {
    '{"pad":"aaa…"} of 1,000,000 bytes': b'{"pad":"' + b"a" * (1_000_000 - 10) + b'"}',
    '{"pad":"aaa…"} of 1,000,010 bytes': b'{"pad":"' + b"a" * 1_000_000 + b'"}',
    "valid JSON of more than 1,000,000 bytes": b'{"pad":"' + b"a" * 1_000_000 + b'"}',
    "1,000,001 bytes": b'{"pad":"' + b"a" * (1_000_001 - 10) + b'"}',
    '2,000,000 x "a"': b"a" * 2_000_000,
    "{} followed by 2,000,000 spaces": b"{}" + b" " * 2_000_000,
}


class World:
    """The running servers of the recordings, and raw connections to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.apps: dict[str, app.App] = {}
        for one in (*kes_world.clients().values(), kes_world.server()):
            one.write(folder)

    async def start(self) -> None:
        for name, recorded in SERVERS.items():
            text = re.sub(
                r"(key|cert|ca|path): (kes\.key|kes\.crt|p256\.crt|fs\w*)", rf"\1: {self.folder}/\2", recorded
            )
            settings = loads(kes_world.fill(text), {})
            settings = dataclasses.replace(
                settings, port=0, audit=dataclasses.replace(settings.audit, file=str(self.folder / f"{name}.audit"))
            )
            self.apps[name] = await app.start(settings, log=Log(OFF + 1))
            self.apps[name].entrance.server.version = "<unknown>"

    async def stop(self) -> None:
        for one in self.apps.values():
            await one.stop(0)

    async def connect(self, server: str, client: str | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if client is not None:
            context.load_cert_chain(self.folder / f"{client}.crt", self.folder / f"{client}.key")
        return await asyncio.open_connection("127.0.0.1", self.apps[server].port, ssl=context)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("http")


def _request(case: dict[str, Any]) -> bytes:
    request = case["request"]
    body = request.get("body")
    if isinstance(body, dict):
        body = MB_BODIES[body["note"]]
    elif body is not None:
        body = kes_world.fill(body).encode()
    lines = [f"{request['method']} {kes_world.fill(request['path'])} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    headers = dict(request["headers"])
    chunked = "Transfer-Encoding" in headers
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if chunked:
        assert body is not None
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


async def _ask(world: World, case: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await world.connect(case["setup"]["server"], case["setup"]["client"])
    try:
        writer.write(_request(case))
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode()
        first, *rest = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in rest)
        length = 0 if case["request"]["method"] == "HEAD" else int(headers.get("Content-Length", 0))
        body = await asyncio.wait_for(reader.readexactly(length), 20)
    finally:
        writer.close()
    return int(first.split()[1]), headers, body


def _shape(text: str) -> Any:
    """Reduce a body to what is comparable: secrets, times and numbers become marks, as in the recordings."""
    text = kes_world.hide(text)
    try:
        document = json.loads(text)
    except ValueError:
        return text
    return _marked(document)


VOLATILE = {"plaintext", "ciphertext", "created_at", "hmac"}
NUMBERS = {"uptime", "num_cpu", "num_cpu_used", "mem_heap_used", "mem_stack_used", "keystore_latency"}


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: f"<{name}>" if name in VOLATILE else "<int>" if name in NUMBERS else _marked(one)
            for name, one in value.items()
        }
    if isinstance(value, list):
        marked = [_marked(one) for one in value]
        return sorted(marked, key=json.dumps)  # identities sort by their value, which differs from the recording's
    return value


def _ours(case: dict[str, Any]) -> dict[str, Any]:
    """Our answer where it differs on purpose; several cases may share a name, so the path may stand behind it."""
    path = case.get("request", {}).get("path", "")
    return OURS.get(f"{case['name']} {path}") or OURS.get(case["name"], {})


def _expected(case: dict[str, Any]) -> dict[str, Any]:
    return case["response"] | _ours(case).get("response", {})


async def _one(world: World, case: dict[str, Any]) -> None:
    expected = _expected(case)
    if "transport_error" in expected:
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            await _ask(world, case)
        return
    status, headers, body = await _ask(world, case)
    assert status == expected["status"], body
    left_out = {"Content-Length", *_ours(case).get("headers_left_out", [])}
    for name, value in expected["headers"].items():
        if name in left_out:
            continue
        assert headers.get(name) == value
    assert headers.get("Content-Length", "0") == str(len(body)) or case["request"]["method"] == "HEAD"
    if isinstance(expected.get("body"), str) and "metrics" not in case["name"]:
        wanted = _shape(kes_world.hide(kes_world.fill(expected["body"])))
        if "members" in _ours(case):
            wanted |= _ours(case)["members"]
        assert _shape(body.decode()) == wanted


def _is_plain(case: dict[str, Any]) -> bool:
    """A single request with a single answer; the rest has tests of its own below."""
    return "request" in case and isinstance(case["response"].get("body", ""), str) and _known(case)


def _known(case: dict[str, Any]) -> bool:
    response = case["response"]
    streams = any(name.startswith("bytes_after_headers") for name in response)
    return not streams and "raw" not in response and "names_count" not in response


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Fresh servers."""
    world = World(tmp_path)
    await world.start()
    yield world
    await world.stop()


async def test_transcripts(folder: Path) -> None:
    """In order, because one server keeps its state through the file; all differences are reported together."""
    world = World(folder)
    await world.start()
    failures = []
    try:
        for case in CASES:
            if not _is_plain(case):
                continue
            _prepare(case, folder)
            try:
                await _one(world, case)
            except (AssertionError, TimeoutError, OSError, EOFError) as error:
                failures.append(f"{case['name']} ({case['setup']}): {error!r:.400}")
    finally:
        await world.stop()
    assert not failures, "\n".join(failures)


def _prepare(case: dict[str, Any], folder: Path) -> None:
    """Make the foreign files that the recorder put into the key store at that point."""
    name = case["name"]
    if name in {"import 8", "import 9", "import 10", "import 26"}:  # what we accept and the original does not
        for key in ("imp6", "imp9"):
            (folder / "fs" / key).unlink(missing_ok=True)
    if name == "describe predefined":
        (folder / "fs" / "old").write_text('{"bytes":"K4rRgUVvEUSlwgrOeq4Lka6ZQnB7BFgPexVq0Bn8n38="}')
    if ("corrupt" in name or "directory" in name) and not (folder / "fs" / "dir").exists():
        (folder / "fs" / "corrupt").write_text("not a key")
        (folder / "fs" / "dir").mkdir()
    if name.startswith("fs directory removed") and (folder / "fsb").exists():
        shutil.rmtree(folder / "fsb")


async def _body(world: World, method: str, path: str, client: str | None, body: str | None = None) -> Any:
    request = {"method": method, "path": path, "headers": {}} | ({"body": body} if body is not None else {})
    status, _, data = await _ask(world, {"setup": {"server": "fs", "client": client}, "request": request})
    return status, data


@pytest.mark.parametrize(
    "case", [one for one in CASES if "names_count" in one.get("response", {})], ids=lambda case: case["name"]
)
async def test_long_list(case: dict[str, Any], tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.start()
    try:
        value = (kes_world.VECTORS / "keystore-fs" / "aes-1").read_bytes()
        for number in range(1100):
            (tmp_path / "fs" / f"many-{number:04}").write_bytes(value)
        _, data = await _body(world, "GET", case["request"]["path"], "admin")
    finally:
        await world.stop()
    page, expected = json.loads(data), _expected(case)
    assert page.get("continue_at") == expected["continue_at"]
    assert page["names"] == sorted(page["names"])
    assert len(page["names"]) == expected["names_count"] or expected["names_count"] is None
    assert page["names"][-2:] == expected["last"] or expected["last"] in (None, page["names"][-1:])


COUNTED = {
    "GET /v1/status": ("GET", "/v1/status", "admin"),
    "GET /v1/ready": ("GET", "/v1/ready", "admin"),
    "GET /v1/api": ("GET", "/v1/api", "admin"),
    "GET /version": ("GET", "/version", "admin"),
    "unknown path": ("GET", "/nope", "admin"),
    "405": ("PATCH", "/v1/key/describe/x", "admin"),
    "403": ("GET", "/v1/key/describe/x", "nopolicy"),
    "400 CA certificate": ("GET", "/v1/key/describe/x", "ca"),
    "key describe 404": ("GET", "/v1/key/describe/nope", "admin"),
    "key list 200": ("GET", "/v1/key/list/", "admin"),
    "bad name 400": ("GET", "/v1/key/describe/a.b", "admin"),
    "policy list": ("GET", "/v1/policy/list/", "admin"),
    "identity self": ("GET", "/v1/identity/self/describe", "admin"),
    "redirect": ("GET", "/v1/key/list", "admin"),
    "create without subscriber": ("PUT", "/v1/key/create/fresh", "admin"),
}


@pytest.mark.parametrize("case", [one for one in CASES if "changed_metrics" in one], ids=lambda case: case["name"])
async def test_counting(case: dict[str, Any], world: World) -> None:
    async def numbers() -> dict[str, float]:
        _, text = await _body(world, "GET", "/v1/metrics", "mon")
        lines = [line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    before = await numbers()
    await _body(world, *COUNTED[case["name"].removeprefix("metrics counting: ")])
    after = await numbers()
    changed = {
        name: value - before.get(name, 0)
        for name, value in after.items()
        if value != before.get(name)
        and name.startswith(("kes_http_request", "kes_http_response_time_count", "kes_log"))
    }
    assert changed == case["changed_metrics"]


@pytest.mark.parametrize("kind", ["audit", "error"])
async def test_streams_begin_at_once_and_carry_events(kind: str, world: World) -> None:
    """The original's streams stay silent since 2024 (kes.md 8); ours must not."""
    reader, writer = await world.connect("fs", "mon")
    writer.write(f"GET /v1/log/{kind} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert b"application/x-ndjson" in head
    (world.folder / "fs" / "corrupt").write_text("not a key")
    world.apps["fs"].log.level = 0
    await _body(world, "GET", "/v1/key/describe/corrupt", "admin")
    size = int(await asyncio.wait_for(reader.readline(), 5), 16)
    event = json.loads(await reader.readexactly(size))
    if kind == "audit":
        assert event["request"]["path"] == "/v1/key/describe/corrupt"
        assert event["response"]["code"] == 502
    else:
        assert "req.path=/v1/key/describe/corrupt" in event["message"]
    writer.close()


async def test_tls_parameters(world: World) -> None:
    case = next(one for one in CASES if one["name"] == "TLS parameters")
    _, writer = await world.connect("fs", "admin")
    session = writer.get_extra_info("ssl_object")
    assert session.version() == _expected(case)["tls"]
    assert session.cipher()[0] in {case["response"]["cipher"], "TLS_AES_256_GCM_SHA384"}
    writer.close()


async def test_plain_http_on_the_tls_port(world: World) -> None:
    case = next(one for one in CASES if "raw" in one.get("response", {}))
    reader, writer = await asyncio.open_connection("127.0.0.1", world.apps["fs"].port)
    writer.write(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 20)).decode() == case["response"]["raw"]
    writer.close()


@pytest.mark.parametrize(
    "case", [one for one in CASES if one["name"].startswith("CertificateRequest")], ids=lambda case: case["name"]
)
async def test_authority_names(case: dict[str, Any], world: World) -> None:
    """Which authorities the server names when it asks for a certificate."""

    def names() -> list[Any]:
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), socket.socket())
        connection.connect(("127.0.0.1", world.apps[case["setup"]["server"]].port))
        connection.set_connect_state()
        with contextlib.suppress(SSL.Error):  # without a certificate the handshake may end right after this
            connection.do_handshake()
        found = connection.get_client_ca_list()
        connection.close()
        return found

    assert (await asyncio.to_thread(names) == []) is _expected(case)["no_ca_names_sent"]
