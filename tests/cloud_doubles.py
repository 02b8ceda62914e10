"""Small doubles of two clouds' secret stores: as much of their REST interfaces as our adapters use.

Written from the vendors' public references; they show that we speak what we think we should speak, not that the
clouds do (docs/reference/kes.md says so).
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

from strongroom.messages import Body, Request, Response
from strongroom.net.server import listen

JSON = (("Content-Type", "application/json"),)


def answer(status: int, document: object = None) -> Response:
    """Return a JSON answer."""
    return Response(status, JSON, json.dumps({} if document is None else document).encode())


class Double:
    """What both share: tokens, and a script of statuses to answer with first."""

    def __init__(self) -> None:
        self.url = ""
        self.tokens = 0
        self.fail: list[int] = []

    def __call__(self, request: Request, body: Body) -> Response:
        data = body.buffered or b""
        if "token" in request.path:
            self.tokens += 1
            assert b"assertion=" in data or b"client_secret=" in data
            return answer(200, {"access_token": f"token-{self.tokens}", "expires_in": 3600})
        if request.path == "/":
            return answer(404)
        if request.headers.get("authorization") != f"Bearer token-{self.tokens}":
            return answer(401, {"error": {"message": "bad token"}})
        if self.fail:
            return answer(self.fail.pop(0), {"error": {"message": "as told"}})
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        return self.serve(request.method, request.path, query, json.loads(data) if data else {})

    def serve(self, method: str, path: str, query: dict[str, str], document: Any) -> Response:
        raise NotImplementedError


class Gcp(Double):
    """projects/p/secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, list[str]] = {}
        self.lost_answers = 0  # of versions that are stored

    def serve(self, method: str, path: str, query: dict[str, str], document: Any) -> Response:
        place = path.removeprefix("/v1/projects/p/secrets").removeprefix("/")
        if not place:
            return self._collection(method, query)
        name, _, rest = re.fullmatch(r"([\w-]+)([:/]?)(.*)", place).groups()
        if name not in self.secrets:
            return answer(404, {"error": {"code": 404}})
        if method == "DELETE":
            del self.secrets[name]
            return answer(200)
        if rest == "addVersion":
            self.secrets[name].append(document["payload"]["data"])
            if self.lost_answers:  # stored, but the client is told otherwise
                self.lost_answers -= 1
                return answer(503)
            return answer(200, {"name": f"projects/1/secrets/{name}/versions/{len(self.secrets[name])}"})
        versions = self.secrets[name]
        return answer(200, {"payload": {"data": versions[0]}}) if versions else answer(404)

    def _collection(self, method: str, query: dict[str, str]) -> Response:
        if method == "POST":
            if query["secretId"] in self.secrets:
                return answer(409, {"error": {"status": "ALREADY_EXISTS"}})
            self.secrets[query["secretId"]] = []
            return answer(200)
        names, start = list(self.secrets), int(query.get("pageToken", 0))
        found = [{"name": f"projects/1/secrets/{name}"} for name in names[start : start + 2]]
        more = {"nextPageToken": str(start + 2)} if start + 2 < len(names) else {}
        return answer(200, {"secrets": found} | more)


class Azure(Double):
    """secrets and deletedsecrets; a deleted secret holds its name until it is purged."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, list[str]] = {}
        self.deleted: dict[str, int] = {}  # how often purging it answers 409 first
        self.clock = 0

    def serve(self, method: str, path: str, query: dict[str, str], document: Any) -> Response:
        assert query["api-version"] == "7.4"
        kind, _, rest = path.strip("/").partition("/")
        name, _, version = rest.partition("/")
        if kind == "deletedsecrets":
            return self._purge(name)
        if not name:
            start = int(query.get("$skiptoken", 0))
            found = [{"id": f"{self.url}/secrets/{one}"} for one in list(self.secrets)[start : start + 2]]
            link = f"{self.url}/secrets?api-version=7.4&$skiptoken={start + 2}"
            return answer(200, {"value": found, "nextLink": link if start + 2 < len(self.secrets) else None})
        if method == "PUT":
            if name in self.deleted:
                return answer(409, {"error": {"code": "Conflict"}})
            self.secrets.setdefault(name, []).append(document["value"])
            return self._shown(name, len(self.secrets[name]) - 1)
        if name not in self.secrets:
            return answer(404)
        if method == "DELETE":
            del self.secrets[name]
            self.deleted[name] = 2
            return answer(200)
        if version == "versions":
            return answer(200, {"value": [self._version(name, one) for one in range(len(self.secrets[name]))]})
        return self._shown(name, int(version or len(self.secrets[name]) - 1))

    def _version(self, name: str, number: int) -> dict[str, Any]:
        return {"id": f"{self.url}/secrets/{name}/{number}", "attributes": {"created": number}}

    def _shown(self, name: str, number: int) -> Response:
        return answer(200, self._version(name, number) | {"value": self.secrets[name][number]})

    def _purge(self, name: str) -> Response:
        if name not in self.deleted:
            return answer(404)
        self.deleted[name] -= 1
        if self.deleted[name] > 0:
            return answer(409)
        del self.deleted[name]
        return answer(204)


@asynccontextmanager
async def serving(double: Double) -> AsyncIterator[str]:
    """Serve a double; yield its URL."""
    server = await listen(double, "127.0.0.1", 0)
    double.url = f"http://127.0.0.1:{server.port}"
    try:
        yield double.url
    finally:
        await server.stop(0)
