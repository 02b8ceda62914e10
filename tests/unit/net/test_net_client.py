"""The client: whole and streamed answers, bodies, TLS with certificates in memory, errors in our words."""

import asyncio

import pytest

from strongroom.errors import BadSettings, Incomplete, TooLarge, Unavailable
from strongroom.messages import Response, Stream, Windows
from strongroom.net.client import HttpClient, client_tls
from strongroom.net.tls import server_tls
from strongroom.net.tls_openssl import any_client_tls


async def echo(request, body):
    data = await body.read(10_000_000)
    text = f"{request.method} {request.target} {len(data)} {len(request.peer.certificates)}"
    headers = (("X-Seen", ",".join(name.decode() for name, _ in request.raw)), ("X-Two", "a"), ("X-Two", "b"))
    return Response(200, headers, text.encode())


async def test_requests_and_answers(serve):
    server = await serve(echo)
    base = f"http://127.0.0.1:{server.port}"
    async with HttpClient() as client:
        answer = await client.request("GET", f"{base}/a%2Fb%20c?x=%2f&y")
        assert (answer.status, answer.body) == (200, b"GET /a%2Fb%20c?x=%2f&y 0 0")
        assert answer.headers["x-two"] == "a, b"
        assert answer.headers["x-seen"] == "Host", "nothing is sent that the caller did not ask for"
        answer = await client.request("PUT", base + "/", body=b"12345", headers={"X-A": "b"})
        assert answer.body == b"PUT / 5 0"
        assert set(answer.headers["x-seen"].split(",")) == {"Host", "X-A", "Content-Length"}

        async def pieces():
            for _ in range(10):
                yield b"x" * 100_000

        answer = await client.request("PUT", base + "/", body=pieces())
        assert answer.body == b"PUT / 1000000 0"
        assert server.connections == 1


async def test_streamed_answers(serve):
    async def pieces():
        for number in range(3):
            yield b"%d" % number
            await asyncio.sleep(0.02)

    server = await serve(lambda *_: Response(200, (), Stream(pieces())))
    async with HttpClient() as client:
        async with client.open("GET", f"http://127.0.0.1:{server.port}/", timeout=0) as answer:
            assert answer.status == 200
            assert [piece async for piece in answer.chunks()] == [b"0", b"1", b"2"]
        async with client.open("GET", f"http://127.0.0.1:{server.port}/") as answer:
            async for _ in answer.chunks():
                break


async def test_errors_in_our_words(serve, unused_tcp_port):
    def handler(request, body):
        if request.path == "/cut":
            return Response(200, (), Windows(10_000_000, iter([b"x" * 1000])))
        if request.path == "/slow":
            return asyncio.sleep(5)
        return Response(200, (), b"x" * 1000)

    server = await serve(handler)
    base = f"http://127.0.0.1:{server.port}"
    async with HttpClient(timeout=0.2) as client:
        with pytest.raises(Unavailable):
            await client.request("GET", f"http://127.0.0.1:{unused_tcp_port}/?secret=s")
        with pytest.raises((Incomplete, Unavailable)):
            await client.request("GET", base + "/cut")
        with pytest.raises(Unavailable, match="no answer in time"):
            await client.request("GET", base + "/slow")
        with pytest.raises(TooLarge):
            await client.request("GET", base + "/", limit=999)
        assert (await client.request("GET", base + "/")).status == 200


async def test_the_query_stays_out_of_messages(unused_tcp_port):
    async with HttpClient() as client:
        with pytest.raises(Unavailable) as caught:
            await client.request("GET", f"http://127.0.0.1:{unused_tcp_port}/x?token=secret")
    assert "secret" not in str(caught.value)


async def test_mutual_tls_with_a_certificate_in_memory(serve, pairs):
    mine, theirs = pairs["client"], pairs["server"]
    server = await serve(echo, tls=any_client_tls(theirs.cert_file, theirs.key_file))
    url = f"https://127.0.0.1:{server.port}/"
    tls = client_tls(ca_file=theirs.cert_file, cert=mine.cert_file.read_bytes(), key=mine.key_file.read_bytes())
    async with HttpClient(tls=tls) as client:
        assert (await client.request("GET", url)).body == b"GET / 0 1"
    async with HttpClient(tls=client_tls(insecure=True, cert=mine.cert_file, key=mine.key_file)) as client:
        assert (await client.request("GET", url)).body == b"GET / 0 1"
    async with HttpClient(tls=client_tls(cert=mine.cert_file, key=mine.key_file)) as client:
        with pytest.raises(Unavailable, match="certificate"):
            await client.request("GET", url)


async def test_a_folder_of_authorities(serve, pairs, tmp_path):
    server = await serve(echo, tls=server_tls(pairs["member"].cert_file, pairs["member"].key_file))
    (tmp_path / "ca.pem").write_bytes(pairs["ca"].cert_file.read_bytes())
    async with HttpClient(tls=client_tls(ca_file=tmp_path)) as client:
        assert (await client.request("GET", f"https://localhost:{server.port}/")).status == 200


def test_tls_files_that_cannot_be_used(tmp_path):
    with pytest.raises(BadSettings):
        client_tls(ca_file=tmp_path / "none")
    with pytest.raises(BadSettings):
        client_tls(cert=b"x", key=b"y")


async def test_redirects_only_when_asked(serve):
    def handler(request, body):
        if request.path == "/a":
            return Response(307, (("Location", "/b"),), b"")
        return Response(200, (), b"b")

    server = await serve(handler)
    async with HttpClient() as client:
        assert (await client.request("GET", f"http://127.0.0.1:{server.port}/a")).status == 307
        assert (await client.request("GET", f"http://127.0.0.1:{server.port}/a", follow=True)).body == b"b"
