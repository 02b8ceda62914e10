"""JSON over HTTPS without an event loop, over net/blocking: for commands that start fast and ask little."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from strongroom.errors import Error, Malformed, Unavailable
from strongroom.net.blocking import Pool
from strongroom.net.dialling import Dialling, Origin

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
    _pool: Pool | None = field(default=None, init=False, repr=False)

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request (body as JSON) and return the whole answer; raise Unavailable when there is none."""
        data = b"" if body is None else json.dumps(body).encode()
        sent = {**self.headers, **(headers or {}), **({"Content-Type": "application/json"} if data else {})}
        try:
            if self._pool is None:
                self._pool = self._open()
            with self._pool.request(method, path, list(sent.items()), data) as answer:
                return Answer(answer.status, answer.headers, answer.read(ANSWER_BYTES))
        except (OSError, Error) as error:
            self.close()
            raise Unavailable(f"{self.url}: {error}") from error

    def _open(self) -> Pool:
        parts = urlsplit(self.url)
        tls = parts.scheme != "http"
        context = None
        if tls:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate:
                context.load_cert_chain(self.certificate, self.key)
        how = Dialling(context, self.timeout, self.timeout)
        return Pool(Origin(parts.hostname or "", parts.port or (443 if tls else 80), tls), how)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
