"""JSON over HTTPS without an event loop, on the standard library: for commands that start fast and ask little."""

import http.client
import json
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strongroom.errors import Malformed, Unavailable

ANSWER_BYTES = 32 * 1024 * 1024  # no JSON answer of a box is larger


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, headers (names in lower case) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON, None when it is empty; raise Malformed when it is something else."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError as error:
            raise Malformed(f"status {self.status}: the answer is not JSON: {self.body[:200]!r}") from error


@dataclass(slots=True)
class Client:
    """One server. ca: PEM bundle to trust instead of the system's; certificate and key: PEM files of a client."""

    url: str
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    timeout: float = 10.0  # seconds, for each step of the connection
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    _connection: http.client.HTTPConnection | None = field(default=None, init=False, repr=False)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request (body as JSON) and return the whole answer; raise Unavailable when there is none."""
        data = None if body is None else json.dumps(body).encode()
        sent = {**self.headers, **(headers or {}), **({"Content-Type": "application/json"} if data else {})}
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request(method, path, data, sent)
            answer = self._connection.getresponse()
            content = answer.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(f"{self.url}: {error}") from error
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self.timeout)
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=self.timeout, context=context)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
