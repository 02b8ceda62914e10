"""The way of every request to its mount and route: body, path, seal (vault.md 1.1 to 1.5); answering.py goes on."""

import asyncio
from collections.abc import Awaitable
from typing import IO, Any
from urllib.parse import unquote

from strongroom.errors import Error, TooLarge
from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import (
    Forbidden,
    NoRoute,
    Refusal,
    Refused,
    Sealed,
)
from strongroom.kms.domain.records import Mount
from strongroom.kms.handlers.answering import LATE, SNAPSHOT, carry_out
from strongroom.kms.handlers.bare import BARE, no_texts
from strongroom.kms.handlers.call import Call
from strongroom.kms.handlers.core import Core, request_id
from strongroom.kms.handlers.reading import (
    body_data,
    echo,
    find_token,
    nowhere,
    odd_path,
    outside,
    parse,
    token_text,
    wrap_ttl,
)
from strongroom.kms.handlers.render import DENIED, error_response, json_response
from strongroom.kms.handlers.sealing import Sealing
from strongroom.kms.handlers.shutting import shut
from strongroom.kms.settings import Listener
from strongroom.kms.wire.complexity import check_complexity, plain_size
from strongroom.messages import Body, Request, Response

UPLOAD = f"/v1/{SNAPSHOT}"
VERBS = frozenset({"LIST", "SCAN", "HELP"})


class Pipeline:
    """The entrance of one listener: a messages.Handler."""

    def __init__(self, core: Core, sealing: Sealing, listener: Listener | None = None) -> None:
        self.core = core
        self.sealing = sealing
        self.listener = listener = listener or Listener()
        self._plain = plain_size(listener.max_json_strings, listener.max_json_memory)

    def __call__(self, request: Request, body: Body) -> Response | Awaitable[Response]:
        """Answer a request."""
        data = body.buffered
        if request.path.startswith(UPLOAD) and request.method in ("PUT", "POST"):
            return self._upload(request, body)
        if data is None:
            return self._read(request, body)
        return self.answer(request, data)

    async def _read(self, request: Request, body: Body) -> Response:
        try:
            async with asyncio.timeout(self.listener.max_request_duration):
                data = await body.read(self.listener.max_request_size)
        except TooLarge:
            return json_response(413, b'{"errors":["http: request body too large"]}')
        except TimeoutError:
            return self._error(Refused(f"failed to decode JSON input: {LATE}"), request)
        answer = self.answer(request, data)
        return await answer if not isinstance(answer, Response) else answer

    async def _upload(self, request: Request, body: Body) -> Response:
        """Take a backup into a temporary file, from a caller who may restore one only, then answer as ever."""
        core, spool = self.core, self.core.spool
        if core.unsealed is None or spool is None:
            return self._error(Sealed("Vault is sealed"), request)
        try:
            self._refuse_others(request, request.path[4:])
        except Error as error:
            return self._error(self._audited(request, error), request)
        with spool() as file:

            def keep(window: memoryview) -> None:
                file.write(window)

            await body.feed(keep)
            file.seek(0)
            try:
                answer = self._routed(request, request.path[4:], b"", file)
                return await answer if not isinstance(answer, Response) else answer
            except Error as error:
                return self._error(error, request)

    def answer(self, request: Request, body: bytes) -> Response | Awaitable[Response]:
        """Answer a request whose body is there."""
        try:
            if len(body) > self._plain:
                check_complexity(body, self.listener.max_json_strings, self.listener.max_json_memory)
            return self._answer(request, body)
        except Error as error:
            return self._error(error, request)

    def _error(self, error: Error, request: Request) -> Response:
        return error_response(error, echo(request))

    def _answer(self, request: Request, body: bytes) -> Response | Awaitable[Response]:
        path = request.path
        if not path.startswith("/v1/"):
            return outside(path)
        path = path[4:]
        if "%" in path or "/." in request.path or "//" in request.path:
            odd = odd_path(request)
            if odd is not None:
                return odd
            path = unquote(path)
            if not path.isprintable():
                return Response(400, (("Content-Type", "application/json"),), b"")
            if ".." in path.split("/"):
                raise Refused("relative paths not supported")
        bare = BARE.get(path)
        if bare is not None:
            return self._bare(bare, request, body)
        if path == "sys/seal":
            return self._seal(request, body)
        return self._routed(request, path, body)

    def _bare(self, bare: Any, request: Request, body: bytes) -> Response | Awaitable[Response]:
        methods, handler = bare
        if request.method not in methods:
            return no_texts(405)
        found = handler(self, request, body)
        if isinstance(found, Response):
            more = echo(request)
            return Response(found.status, (*found.headers, *more), found.body) if more else found
        return self._guard(found, request)

    async def _guard(self, waiting: Awaitable[Response], request: Request) -> Response:
        try:
            return await waiting
        except Error as error:
            return self._error(error, request)

    def _seal(self, request: Request, body: bytes) -> Response | Awaitable[Response]:
        """PUT sys/seal: a sealed server says 204 to anybody (vault.md 2.3)."""
        if request.method not in ("PUT", "POST"):
            return no_texts(405)
        data = body_data(request, body)
        done = Response(204, (("Cache-Control", "no-store"), *echo(request)), b"")
        if self.core.unsealed is None:
            return done
        if self.core.standby:
            self.core.live.entries.forget()
            self.core.live.tokens.forget()
        call = self._call(request, acl.UPDATE, "sys/seal", data, nowhere())
        call.token_text = token_text(request)

        async def sealed() -> Response:
            await shut(call, self.sealing)
            return done

        return self._guard(sealed(), request)

    def _audited(self, request: Request, error: Error) -> Error:
        """Write the audit lines of an upload that is refused; return what to answer."""
        core, path = self.core, request.path[4:]
        if core.audit.active:
            call = self._call(request, acl.UPDATE, path, {}, core.live.mounts.match(path) or nowhere())
            call.token_text = token_text(request)
            call.token = find_token(core, call.work, call.token_text, call.now)
            try:
                core.audit.refused(call, error)
            except Error as failure:
                return failure
        return error

    def _refuse_others(self, request: Request, path: str) -> None:
        """Raise Forbidden or Refusal unless the caller's token is good here and may update path."""
        work = self.core.work()
        token = find_token(self.core, work, token_text(request), self.core.clock())
        if token is None:
            raise Forbidden(DENIED)
        if token.bound_cidrs:
            self.core.check_cidrs(token.bound_cidrs, request.peer.address)
        if not self.core.acl_of(work, token).allows(acl.Asked(acl.UPDATE, path, {})):
            raise Refusal(DENIED)

    def _routed(
        self, request: Request, path: str, body: bytes, upload: IO[bytes] | None = None
    ) -> Response | Awaitable[Response]:
        operation, path, data = parse(request, path, body)
        core = self.core
        if core.unsealed is None or core.restoring:
            raise Sealed("Vault is sealed")
        namespace = request.headers.get("x-vault-namespace")
        if namespace and namespace.strip("/") not in ("", "root"):
            raise NoRoute("namespace not found")
        if core.cluster is not None and not core.cluster.serving():
            return core.cluster.elsewhere(request)
        call = self._call(request, operation, path, data, core.live.mounts.match(path) or nowhere())
        call.wrap_ttl, call.upload = wrap_ttl(request), upload
        if call.mount.uuid:
            found = core.live.backends[call.mount.uuid].router.find(call.path)
            if found is not None:
                call.route, call.captures = found
        return carry_out(request, call)

    def _call(self, request: Request, operation: int, path: str, data: dict[str, Any], mount: Mount) -> Call:
        core = self.core
        return Call(
            core,
            core.work(),
            operation,
            path,
            path[len(mount.path) :],
            data,
            request.peer,
            request_id(),
            request.headers,
            mount,
            core.clock(),
            self.listener,
        )
