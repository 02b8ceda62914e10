"""Connections that are kept: used again, and made anew when the server has closed them."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from strongroom.cli.kms.client import Client
from strongroom.cli.kms.faults import ServerFault
from strongroom.cli.kms.settings import Settings


def serve(closing: bool) -> tuple[ThreadingHTTPServer, list[int]]:
    ports: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ports.append(self.client_address[1])
            body = b'{"data":{"k":"v"}}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = closing  # without saying so

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server, ports


@pytest.mark.parametrize(("keep", "closing", "connections"), [(True, False, 1), (True, True, 3), (False, False, 3)])
def test_connections(keep: bool, closing: bool, connections: int) -> None:
    server, ports = serve(closing)
    client = Client(Settings(address=f"http://127.0.0.1:{server.server_port}"), "vault", keep=keep)
    try:
        for _ in range(3):
            secret = client.read("kv/a")
            assert secret is not None
            assert secret.data == {"k": "v"}
        assert len(set(ports)) == connections
    finally:
        client.close()
        server.shutdown()
        server.server_close()


def test_a_kept_connection_to_a_server_that_is_gone_fails() -> None:
    server, _ = serve(closing=True)
    client = Client(Settings(address=f"http://127.0.0.1:{server.server_port}"), "vault", keep=True)
    client.read("kv/a")
    server.shutdown()
    server.server_close()
    with pytest.raises(ServerFault, match="connection refused"):
        client.read("kv/a")
