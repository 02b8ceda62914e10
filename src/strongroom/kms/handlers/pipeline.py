"""The way of every request: body, seal, token, policy, mount, backend, storage, audit, answer (vault.md 1.5).

Requests are answered synchronously where nothing has to be waited for; otherwise an awaitable is returned that ends
when the writes are durable (or an outside service has answered).
"""

import asyncio
import traceback
from collections.abc import Awaitable
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from strongroom.errors import Error, TooLarge
from strongroom.kms.domain import acl
from strongroom.kms.domain.entries import Ticket, Work
from strongroom.kms.domain.errors import (
    Failed,
    Forbidden,
    NoRoute,
    Refusal,
    Refused,
    Sealed,
    UnsupportedOperation,
    UnsupportedPath,
)
from strongroom.kms.domain.records import Token
from strongroom.kms.handlers.bare import BARE, no_texts
from strongroom.kms.handlers.call import HELP, NAMES, Call, Reply
from strongroom.kms.handlers.core import Core, request_id
from strongroom.kms.handlers.reading import (
    LISTS,
    echo,
    nowhere,
    odd_path,
    outside,
    parse,
    token_text,
    wrap_ttl,
)
from strongroom.kms.handlers.render import DENIED, error_response, json_response, reply_response
from strongroom.kms.handlers.sealing import Sealing
from strongroom.kms.handlers.wrapping import wrap
from strongroom.kms.settings import Listener
from strongroom.kms.wire import gojson
from strongroom.kms.wire.complexity import check_complexity, plain_size
from strongroom.messages import Body, Request, Response

LATE = "context deadline exceeded"
SNAPSHOT = "/v1/sys/storage/raft/snapshot"
VERBS = frozenset({"LIST", "SCAN", "HELP"})
READS = acl.READ | LISTS


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
        if request.path.startswith(SNAPSHOT) and request.method in ("PUT", "POST"):
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
            self._refuse_others(request, request.path[4:], sudo=False)
        except Error as error:
            return self._error(error, request)
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
        if "%" in path or "//" in path or ".." in path:
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
            return self._seal(request)
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

    def _seal(self, request: Request) -> Response | Awaitable[Response]:
        """PUT sys/seal: a sealed server says 204 to anybody; else root or update and sudo (vault.md 2.3)."""
        if request.method not in ("PUT", "POST"):
            return no_texts(405)
        if self.core.unsealed is not None:
            if self.core.standby:
                self.core.live.entries.forget()
                self.core.live.tokens.forget()
            self._refuse_others(request, "sys/seal", sudo=True)
            self.sealing.seal()
        return Response(204, (("Cache-Control", "no-store"), *echo(request)), b"")

    def _refuse_others(self, request: Request, path: str, *, sudo: bool) -> None:
        """Raise Forbidden or Refusal unless the caller's token is good here and may update path."""
        work = self.core.work()
        token = self._token(work, token_text(request), self.core.clock())
        if token is None:
            raise Forbidden(DENIED)
        if token.bound_cidrs:
            self.core.check_cidrs(token.bound_cidrs, request.peer.address)
        if not self.core.acl_of(work, token).allows(acl.Asked(acl.UPDATE, path, {}, None, sudo=sudo)):
            raise Refusal(DENIED)

    def _token(self, work: Work, text: str, now: int) -> Token | None:
        return self.core.live.tokens.find(work, text, now // 1_000_000_000) if text else None

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
            return core.cluster.elsewhere(request, body)
        work, now = core.work(), core.clock()
        mount = core.live.mounts.match(path) or nowhere()
        call = Call(
            core,
            work,
            operation,
            path,
            path[len(mount.path) :],
            data,
            request.peer,
            request_id(),
            request.headers,
            mount,
            now,
        )
        call.wrap_ttl, call.upload, call.listener = wrap_ttl(request), upload, self.listener
        if mount.uuid:
            found = core.live.backends[mount.uuid].router.find(call.path)
            if found is not None:
                call.route, call.captures = found
        return self._authorised(request, call)

    def _authorised(self, request: Request, call: Call) -> Response | Awaitable[Response]:
        """Check token and policy, then run the handler."""
        core, work, route = self.core, call.work, call.route
        last = False
        try:
            if route is None or not route.open:
                text = call.token_text = token_text(request)
                call.token = token = self._token(work, text, call.now)
                if token is None:
                    raise Forbidden(DENIED)
                if token.bound_cidrs:
                    core.check_cidrs(token.bound_cidrs, call.peer.address)
                if token.num_uses > 0 and not (route is not None and route.unspent):
                    last = core.live.tokens.use(work, token)
                call.rules = core.acl_of(work, token)
                self._check(call, call.rules)
            core.quota(call)
            if core.audit.active:
                held = call.operation & READS or (route is not None and route.pure and call.operation == acl.UPDATE)
                core.audit.request(call, None, hold=bool(held))
            reply = self._run(call)
        except Error as error:
            return self._failed(request, call, error, last)
        except Exception as error:
            return self._failed(request, call, self._unexpected(call, error), last)
        if reply is None or type(reply) is Reply:
            return self._settle(request, call, reply, last)
        return self._later(request, call, reply, last)

    def _check(self, call: Call, rules: acl.Acl) -> None:
        """Raise Refusal unless the caller's policies allow the call; decides create or update before (vault.md 5.1)."""
        route, operation = call.route, call.operation
        if operation == acl.UPDATE and route is not None and route.exists is not None and not route.exists(call):
            call.operation = operation = acl.CREATE
        if operation == HELP:
            return
        if not rules.root:
            asked = acl.Asked(operation, call.full, call.data, call.wrap_ttl, route is not None and route.sudo)
            call.granted = rules.grant(asked)
            if call.granted is None:
                raise Refusal(DENIED)

    def _run(self, call: Call) -> Any:
        route = call.route
        if call.operation == HELP:
            return self._help(call)
        if route is None:
            if not call.mount.uuid:
                raise NoRoute(f'no handler for route "{call.full}". route entry not found.')
            found = self.core.live.backends[call.mount.uuid].missing(call)
            if found is None:
                raise UnsupportedPath("unsupported path")
            return found
        operations = route.operations
        handler = operations.get(call.operation)
        if handler is None and call.operation == acl.CREATE:
            handler = operations.get(acl.UPDATE)
        if handler is None:
            raise UnsupportedOperation("unsupported operation")
        if call.data:
            call.validate()
        return handler(call)

    def _help(self, call: Call) -> Reply:
        """Answer `?help=1` with the fields of the route."""
        known = sorted(call.route.fields) if call.route is not None else []
        text = f"Request: {call.full}\n\nParameters: {', '.join(known) or 'none'}\n"
        return Reply(bare=gojson.encode({"help": text, "see_also": None, "openapi": None}))

    async def _later(self, request: Request, call: Call, waiting: Awaitable[Reply | None], last: bool) -> Response:
        limit = None if call.full.startswith(SNAPSHOT[4:]) else self.listener.max_request_duration
        try:
            async with asyncio.timeout(limit):
                reply = await waiting
            self._check_place(call)
        except TimeoutError:
            answer = self._failed(request, call, Failed(LATE), last)
        except Error as error:
            answer = self._failed(request, call, error, last)
        except Exception as error:
            answer = self._failed(request, call, self._unexpected(call, error), last)
        else:
            answer = self._settle(request, call, reply, last)
        return await answer if not isinstance(answer, Response) else answer

    def _check_place(self, call: Call) -> None:
        """Raise unless what a waiting call wants to store still has its place: no seal, restore or unmount since."""
        if call.upload is not None:
            call.work.discard()  # of the storage that was replaced
        if call.work.changed:
            live = self.core.unsealed
            if live is None or live.entries is not call.work.entries:
                raise Sealed("Vault is sealed")
            if call.mount.uuid not in live.backends:
                raise NoRoute(f'no handler for route "{call.full}". route entry not found.')

    def _unexpected(self, call: Call, error: Exception) -> Error:
        """Tell the operator about an error of ours; the client gets 500, and nothing of the request is stored."""
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        self.core.warn(f"{NAMES[call.operation]} {call.full}: {type(error).__name__} at {place}")
        return Error("unexpected")

    def _failed(self, request: Request, call: Call, error: Error, last: bool) -> Response | Awaitable[Response]:
        """Answer an error; what the request wrote is dropped, except a spent use of its token."""
        core = self.core
        core.metrics.refused += 1
        used = call.token is not None and (call.token.num_uses or last) and core.unsealed is not None
        call.work.discard()
        if used and call.token is not None:
            if last:
                core.live.tokens.revoke(call.work, call.token.hash)
            else:
                core.live.tokens.save(call.work, call.token)
        if core.audit.active and core.unsealed is not None:
            try:
                core.audit.refused(call, error)
            except Error as failure:
                error = failure
        ticket = call.work.commit()
        answer = self._error(error, request)
        return answer if ticket is None or ticket.done else _when_durable(ticket, answer)

    def _settle(self, request: Request, call: Call, reply: Reply | None, last: bool) -> Response | Awaitable[Response]:
        """Send the writes on their way, wrap if asked, audit, render."""
        core = self.core
        try:
            if call.data or call.warnings:
                reply = _warned(call, reply)
            wrapped = reply
            ttl = call.wrap_ttl if reply is None or not reply.wrap_ttl else reply.wrap_ttl
            if ttl and reply is not None and reply.bare is None and reply.windows is None and reply.status in (0, 200):
                wrapped = wrap(call, reply, ttl)
            if last and call.token is not None:
                core.live.tokens.revoke(call.work, call.token.hash)
            ticket = call.work.commit()
            if ticket is None and not call.work.waiting:
                return self._finish(request, call, wrapped)
            waiting = [t for t in call.work.waiting if not t.done]
            if ticket is not None and not ticket.done:
                waiting.append(ticket)
            return self._durable(request, call, wrapped, waiting) if waiting else self._finish(request, call, wrapped)
        except Error as error:
            return self._failed(request, call, error, last=False)

    async def _durable(self, request: Request, call: Call, wrapped: Reply | None, waiting: list[Ticket]) -> Response:
        try:
            async with asyncio.timeout(self.listener.max_request_duration):
                for ticket in waiting:
                    await ticket.wait()
            return self._finish(request, call, wrapped)
        except TimeoutError:
            return self._error(Failed(LATE), request)
        except Error as error:
            return self._error(error, request)

    def _finish(self, request: Request, call: Call, wrapped: Reply | None) -> Response:
        if self.core.audit.active:
            self.core.audit.response(call, wrapped)
        self.core.metrics.count(call, (self.core.clock() - call.now) / 1e9)
        shown = "" if wrapped is not None and wrapped.wrap is not None else call.request_id
        return reply_response(wrapped, shown, echo(request))

    def leader(self) -> dict[str, Any]:
        """Return what sys/leader says (vault.md 2.5)."""
        core = self.core
        if core.cluster is None:
            return {"ha_enabled": False}
        if core.standby:
            found = core.cluster.election.leader()
            core.leader_address = found.address if found is not None else ""
        else:
            core.leader_address = core.cluster.address
        return {
            "ha_enabled": True,
            "is_self": core.unsealed is not None and not core.standby,
            "active_time": core.active_time,
            "leader_address": core.leader_address,
            "leader_cluster_address": core.leader_address,
            "performance_standby": False,
            "performance_standby_last_remote_wal": 0,
        }


def _warned(call: Call, reply: Reply | None) -> Reply | None:
    """Return the reply with warnings: an answer without a body stays so unless the handler warned."""
    warnings = call.warnings
    if reply is not None and reply.bare is None:
        warnings = [*(reply.warnings or ()), *warnings, *call.ignored()]
    if not warnings:
        return reply
    reply = reply if reply is not None else Reply()
    reply.warnings = warnings
    return reply


async def _when_durable(ticket: Ticket, answer: Response) -> Response:
    await ticket.wait()
    return answer
