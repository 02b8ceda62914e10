"""A Vault client for the command line: requests, errors and answers as vault.md 1 has them."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from strongroom.cli.kms import connection
from strongroom.cli.kms.faults import Fault, Printed, ServerFault
from strongroom.cli.kms.jsontext import dumps, loads
from strongroom.cli.kms.preview import preview
from strongroom.cli.kms.secret import Secret, secret_of
from strongroom.cli.kms.settings import Settings

SAFE = "/$&+,:;=@"  # characters that a path keeps as they are
_MERGE_PATCH = "application/merge-patch+json"
_REDIRECTS = (301, 302, 307, 308)
_RETRIED = (412, 429, 500, 502, 503, 504)
_RETRY_WAIT_SECONDS = 1.0
_PIECE = 1024 * 1024  # bytes of a large body read at a time

_GONE = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)

Headers = list[tuple[str, str]]
Payload = bytes | BinaryIO


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON value, None when there is no body or it is no JSON."""
        try:
            return loads(self.body) if self.body.strip() else None
        except ValueError:
            return None


class Client:
    """Sends requests with one token and namespace. Every method raises ServerFault when there is no good answer."""

    def __init__(self, settings: Settings, program: str, *, keep: bool = False) -> None:
        """Make a client; with `keep` connections are used again, which pays from the second request on."""
        self.settings = settings
        self._program = program
        self._keep = keep
        self._lines: dict[str, http.client.HTTPConnection] = {}

    def request(
        self,
        method: str,
        path: str,
        body: Any = ...,
        *,
        query: Iterable[tuple[str, str]] = (),
        ask: bool = False,
        good: tuple[int, ...] = (),
    ) -> Answer:
        """Send a request below /v1/ and return its answer if that is a success or its status is in `good`.

        `body` is a JSON value (null included) or bytes; left out, none is sent. `ask` marks a question that has to be
        sent even when the command is only shown. Raises Printed when the command is to be shown.
        """
        url = self._url(path, tuple(query))
        data = b"" if body is ... else body if isinstance(body, bytes) else dumps(body).encode()
        headers = self._headers(method)
        if self.settings.show and not ask:
            raise Printed(preview(self.settings, self._program, method, url, headers, data))
        answer = self._send(method, url, headers, data)
        if answer.status < 400 or answer.status in good:
            return answer
        raise _refusal(self.settings.namespace, method, url, answer)

    def download(self, path: str, sink: BinaryIO) -> int:
        """GET a large body into a file; return its length in bytes. Raises ServerFault when it did not come whole."""
        start = sink.tell()
        url = self._url(path, ())
        headers = self._headers("GET")
        if self.settings.show:
            raise Printed(preview(self.settings, self._program, "GET", url, headers, b""))
        answer = self._send("GET", url, headers, b"", sink)
        if answer.status >= 300:
            raise _refusal(self.settings.namespace, "GET", url, answer)
        length = sink.tell() - start
        if str(length) != answer.headers.get("content-length", str(length)):
            raise ServerFault(f'Get "{url}": EOF')
        return length

    def upload(self, path: str, source: BinaryIO) -> None:
        """POST a file as the body."""
        url = self._url(path, ())
        headers = self._headers("POST")
        if self.settings.show:
            raise Printed(preview(self.settings, self._program, "POST", url, headers, b"@FILE"))
        answer = self._send("POST", url, headers, source)
        if answer.status >= 300:
            raise _refusal(self.settings.namespace, "POST", url, answer)

    def read(self, path: str, query: Iterable[tuple[str, str]] = ()) -> Secret | None:
        """Return what a GET finds; None for a 404 that carries nothing but errors (vault.md 1.8)."""
        return _found(self.request("GET", path, query=query, good=(404, 429)))

    def names(self, path: str, verb: str = "list") -> Secret | None:
        """Return what a LIST (or scan) finds, or None."""
        return _found(self.request("GET", path, query=((verb, "true"),), good=(404,)))

    def write(self, path: str, body: Any = ..., method: str = "PUT") -> Secret | None:
        """Write and return the answer's secret, None for 204."""
        return secret_of(self.request(method, path, body).body)

    def delete(self, path: str, query: Iterable[tuple[str, str]] = ()) -> Secret | None:
        """Delete and return the answer's secret, None for 204."""
        return secret_of(self.request("DELETE", path, query=query).body)

    def _url(self, path: str, query: tuple[tuple[str, str], ...]) -> str:
        parts = [part for part in path.split("/") if part]
        base = "unix://localhost" if self.settings.address.startswith("unix:") else self.settings.address
        url = "/".join([f"{base}/v1", *(quote(part, safe=SAFE) for part in parts)])
        return f"{url}?{urlencode(query)}" if query else url

    def _headers(self, method: str) -> list[tuple[str, str]]:
        settings = self.settings
        headers = [*settings.headers, ("X-Vault-Request", "true")]
        if method == "PATCH":
            headers.append(("Content-Type", _MERGE_PATCH))
        if settings.token:
            headers.append(("X-Vault-Token", settings.token))
        if settings.wrap_ttl:
            headers.append(("X-Vault-Wrap-Ttl", settings.wrap_ttl))
        if settings.namespace:
            headers.append(("X-Vault-Namespace", settings.namespace))
        return headers

    def _send(self, method: str, url: str, headers: Headers, data: Payload, sink: BinaryIO | None = None) -> Answer:
        for left in range(self.settings.retries, -1, -1):
            answer = self._exchange(method, url, headers, data, sink)
            if answer.status in _REDIRECTS and self.settings.follow_redirect:
                answer = self._exchange(method, _redirected(method, url, answer), headers, data, sink)
            if answer.status not in _RETRIED or not left:
                break
            time.sleep(_RETRY_WAIT_SECONDS)
        return answer

    def _exchange(self, method: str, url: str, headers: Headers, data: Payload, sink: BinaryIO | None) -> Answer:
        where = connection.split_address(self.settings.address if url.startswith("unix:") else url)
        target = _target(urlsplit(url), bool(self.settings.proxy))
        kept = self._lines.pop(where.netloc, None)
        try:
            if kept is not None:
                try:
                    return self._on_line(kept, where.netloc, method, target, headers, data, sink)
                except _GONE:  # the server had closed it, as servers do with idle ones
                    kept.close()
            line = connection.open_connection(self.settings, where)
            return self._on_line(line, where.netloc, method, target, headers, data, sink)
        except ServerFault as fault:
            raise ServerFault(f'{method.title()} "{url}": {fault.text}') from None
        except (OSError, http.client.HTTPException) as error:
            raise ServerFault(f'{method.title()} "{url}": {connection.explain(error, where)}') from None
        except ValueError:  # its own text would show the header's value
            raise ServerFault(
                f'{method.title()} "{url}": the token or a header has characters that HTTP forbids'
            ) from None

    def _on_line(
        self,
        line: http.client.HTTPConnection,
        place: str,
        method: str,
        target: str,
        headers: Headers,
        data: Payload,
        sink: BinaryIO | None,
    ) -> Answer:
        """Use a connection once; it is kept for the next request if this client keeps them, else closed."""
        done = False
        try:
            answer = _exchange(line, method, target, headers, data, sink)
            done = True
        finally:
            if done and self._keep:
                self._lines[place] = line
            else:
                line.close()
        return answer

    def close(self) -> None:
        """Close the connections that were kept."""
        while self._lines:
            self._lines.popitem()[1].close()


def _redirected(method: str, url: str, answer: Answer) -> str:
    """Return where a redirect leads; token and body go there too, so never from https to http."""
    target = answer.headers.get("location", "")
    if target.startswith("/"):
        split = urlsplit(url)
        target = f"{split.scheme}://{split.netloc}{target}"
    if url.startswith("https:") and not target.startswith("https:"):
        raise ServerFault(f'{method.title()} "{url}": redirect would cause protocol downgrade')
    return target


def _target(url: SplitResult, through_proxy: bool) -> str:
    path = url.path + (f"?{url.query}" if url.query else "")
    return f"http://{url.netloc}{path}" if through_proxy and url.scheme == "http" else path


def _exchange(
    line: http.client.HTTPConnection, method: str, target: str, headers: Headers, data: Payload, sink: BinaryIO | None
) -> Answer:
    """Send one request and return the answer; a good answer's body goes into the sink if there is one."""
    line.putrequest(method, target, skip_accept_encoding=True)
    for name, value in headers:
        line.putheader(name, value)
    if isinstance(data, bytes):
        length = len(data)
    else:
        length = data.seek(0, 2)
        data.seek(0)
    if length or method in ("PUT", "POST", "PATCH"):
        line.putheader("Content-Length", str(length))
    line.endheaders(data if length else None)
    response = line.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    if sink is not None and response.status < 300:
        while piece := response.read(_PIECE):
            _store(sink, piece)
        return Answer(response.status, found, b"")
    body = response.read(connection.MAX_ANSWER + 1)
    if len(body) > connection.MAX_ANSWER:
        raise ServerFault(f"the answer is longer than {connection.MAX_ANSWER} bytes")
    return Answer(response.status, found, body)


def _store(sink: BinaryIO, piece: bytes) -> None:
    """Write to a file; its failure is not the connection's."""
    try:
        sink.write(piece)
    except OSError as error:
        raise Fault(f"Error writing the answer to a file: {error.strerror}") from None


def _found(answer: Answer) -> Secret | None:
    secret = secret_of(answer.body)
    if answer.status == 404 and (secret is None or not (secret.data or secret.warnings)):
        return None
    return secret


def _refusal(namespace: str, method: str, url: str, answer: Answer) -> ServerFault:
    """Return an error answer in the words of vault.md 1.8."""
    value = answer.json()
    lines = ["Error making API request.", ""]
    if namespace:
        lines.append(f"Namespace: {namespace}")
    lines.append(f"URL: {method} {url}")
    warnings: tuple[str, ...] = ()
    if isinstance(value, dict) and ("errors" in value or "data" in value or "warnings" in value):
        lines += [f"Code: {answer.status}. Errors:", "", *([f"* {text}" for text in value.get("errors") or ()] or [""])]
        warnings = tuple(map(str, value.get("warnings") or ()))
    else:
        lines += [f"Code: {answer.status}. Raw Message:", "", answer.body.decode("utf-8", "replace")]
    return ServerFault("\n".join(lines), answer.status, warnings)
