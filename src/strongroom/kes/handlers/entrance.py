"""Every request comes through here: route, method, identity, policy, body, handler, audit line (kes.md 1.1).

The order of the checks is the original's. A request whose handler needs to wait for nothing is answered without a
task: one function call from `net` to the answer.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from strongroom.errors import Denied, Error, Malformed, TooLarge
from strongroom.kes.domain.errors import NoCertificate, StoreUnreachable
from strongroom.kes.handlers.audit import audit_line
from strongroom.kes.handlers.call import JSON, Call, Server, State, ours
from strongroom.kes.handlers.proxy import forwarded, forwarded_address
from strongroom.kes.handlers.routes import Route, configured
from strongroom.kes.handlers.system import offline_header
from strongroom.kes.wire import identity, paths
from strongroom.kes.wire.errors import error_body, status_and_text
from strongroom.messages import Body, Request, Response
from strongroom.request_id import current, request_id

_REMEMBERED = 8192  # callers, targets and decisions kept; more than that starts afresh
_LONGEST = 512  # characters of a path that is kept: longer ones name no key, and could fill the memory
_LARGEST = 8 * 1024  # bytes of a client's certificates that are kept; common ones have 1 to 3 thousand
_BODIES = {"invalid request body", "invalid import key request body"}  # what operators are told of (kes.md 8)
_SKIPPED_BODY = 16 * 1024 * 1024  # bytes behind the limit that are read and thrown away


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is at the other end: an identity, or why there is none. fingerprint: SHA-256 of the certificate."""

    identity: str = ""
    fingerprint: str = ""
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a raw path leads: a route and its argument, or an answer."""

    path: str
    route: Route | None = None
    argument: str = ""
    answer: Response | None = None
    quoted: str = ""  # path as JSON


class Entrance:
    """The handler that `net` calls. `replace` swaps in what a reload made."""

    def __init__(self, server: Server, state: State) -> None:
        self.server = server
        self.replace(state)

    def replace(self, state: State) -> None:
        """Use state from the next request on; running ones finish with theirs."""
        self.state = state
        self._audited = state.settings.audit_on
        self._routes = configured(state.settings.routes)
        self._callers: dict[tuple[bytes, ...], Caller] = {}
        self._targets: dict[str, Target] = {}
        self._decisions: dict[tuple[str, str], Denied | None] = {}

    def __call__(self, request: Request, body: Body) -> Response | Awaitable[Response]:
        """Answer one request."""
        start = time.perf_counter_ns()
        target = self._targets.get(request.path) or self._find(request.path)
        route = target.route
        if route is None:
            return self._elsewhere(request, target)
        call = Call(self.state, self.server, request, "", target.path, target.quoted, target.argument)
        call.request_id = request_id(request.headers.get("x-request-id"))
        if request.method not in route.methods:
            return self._wrong_method(call, route, start)
        try:
            self._admit(call, route)
            if not route.max_body:
                return self._run(call, route, start)
            buffered = body.buffered
            if buffered is None or len(buffered) > route.max_body:
                return self._read_then_run(call, route, body, start)
            call.body = buffered
            call.chunked = body.length is None
            return self._run(call, route, start)
        except Exception as error:
            return self._finish(call, route, start, self._refused(call, ours(error)))

    def _run(self, call: Call, route: Route, start: int) -> Response | Awaitable[Response]:
        answer = route.work(call)
        if isinstance(answer, Response):
            return self._finish(call, route, start, answer)
        return self._wait(call, route, answer, start)

    async def _wait(self, call: Call, route: Route, answer: Awaitable[Response], start: int) -> Response:
        counters = self.server.counters
        counters.active += 1
        current.set(call.request_id)  # for what the key store is asked
        try:
            async with asyncio.timeout(route.timeout or None):
                response = await answer
        except TimeoutError:
            response = self._refused(call, StoreUnreachable(f"no answer within {route.timeout} s"))
        except asyncio.CancelledError:
            self._finish(call, route, start, self._refused(call, StoreUnreachable("cut off: the server stops")))
            raise  # what was begun may have been done: it has its audit line, and no answer
        except Exception as error:
            response = self._refused(call, ours(error))
        finally:
            counters.active -= 1
        return self._finish(call, route, start, response)

    async def _read_then_run(self, call: Call, route: Route, body: Body, start: int) -> Response:
        """Take a body that has not arrived yet, or is longer than the route allows (kes.md 1.1, body limit)."""
        try:
            call.body, call.chunked = await _read(body, route.max_body), body.length is None
            answer = self._run(call, route, start)
        except Exception as error:
            return self._finish(call, route, start, self._refused(call, ours(error)))
        return answer if isinstance(answer, Response) else await answer

    # ---- who may
    def _admit(self, call: Call, route: Route) -> None:
        """Set the caller's identity and ask its policy; raise Denied, NoCertificate or ManyCertificates."""
        caller = self._caller(call)
        call.identity, call.fingerprint = caller.identity, caller.fingerprint
        if caller.error is not None and route.identified:
            raise caller.error
        if not route.auth:
            return
        key = (call.identity, call.path)
        try:
            denied = self._decisions[key]
        except KeyError:
            denied = self._decide(key)
        if denied is not None:
            raise denied

    def _decide(self, key: tuple[str, str]) -> Denied | None:
        if len(self._decisions) >= _REMEMBERED:
            self._decisions.clear()
        denied = None
        try:
            self.state.policies.check(*key)
        except Denied as error:
            denied = error.with_traceback(None)
        if len(key[1]) <= _LONGEST:
            self._decisions[key] = denied
        return denied

    def _caller(self, call: Call) -> Caller:
        peer = call.request.peer
        call.address, certificates = peer.address, peer.certificates
        caller = self._callers.get(certificates)
        if caller is None:
            if len(self._callers) >= _REMEMBERED:
                self._callers.clear()
            caller = _identify(certificates)
            if sum(map(len, certificates)) <= _LARGEST:
                self._callers[certificates] = caller
        tls = self.state.settings.tls
        if tls.proxies and caller.identity in tls.proxies:
            return self._forwarded(call)
        return caller

    def _forwarded(self, call: Call) -> Caller:
        """Return who is behind a TLS proxy (kes.md 2.5)."""
        call.address = forwarded_address(call.request) or call.address
        try:
            certificate = forwarded(call.request, self.state.settings.tls)
            if self.state.verify is not None:
                self.state.verify(certificate)
        except Error as error:
            return Caller(error=error.with_traceback(None))
        return _identify((certificate,))

    # ---- where
    def _find(self, path: str) -> Target:
        if len(self._targets) >= _REMEMBERED:
            self._targets.clear()
        target = self._resolve(path)
        target = replace(target, quoted=json.dumps(target.path))
        if len(path) <= _LONGEST:
            self._targets[path] = target
        return target

    def _resolve(self, raw: str) -> Target:
        clean = paths.canonical(raw)
        try:
            path = paths.decode(clean)
        except Malformed:
            return Target(raw, answer=Response(400, paths.NOT_FOUND.headers, b"400 Bad Request"))
        if clean != raw:
            return Target(clean)
        route = self._routes.get(path)
        if route is not None and not path.endswith("/"):
            return Target(path, route)
        if path + "/" in self._routes:
            return Target(clean + "/")
        start = 0
        best: Target | None = None
        while (slash := path.find("/", start)) >= 0:
            route = self._routes.get(path[: slash + 1])
            if route is not None:
                best = Target(path, route, path[slash + 1 :])
            start = slash + 1
        return best or Target(path, answer=paths.NOT_FOUND)

    def _elsewhere(self, request: Request, target: Target) -> Response:
        if target.answer is None:
            return paths.redirect(request.method, target.path, request.query)
        if request.method == "OPTIONS" and request.target == "*":
            return Response(200)
        return target.answer

    def _wrong_method(self, call: Call, route: Route, start: int) -> Response:
        text = f"received method '{call.request.method}' expected '{route.method}'"
        headers = (("Accept", route.method), ("Content-Type", "application/json"))
        return self._finish(call, route, start, Response(405, headers, error_body(text)), counted=False)

    # ---- the answer
    def _refused(self, call: Call, error: Error) -> Response:
        """Render an error, and tell the operator why."""
        status, text = status_and_text(error)
        log, fields = self.server.log, _fields(call)
        call.refused = True
        if isinstance(error, Denied | NoCertificate):
            self.server.counters.denied[type(error).__name__] += 1
            log.debug(str(error) or text, **fields)
        elif status >= 500:
            self.server.counters.store_failures[type(error.__cause__ or error).__name__] += 1
            write = log.warn if call.path == "/v1/ready" else log.error  # probes ask again and again (kes.md 8)
            write(_reason(error), **fields)
        elif isinstance(error, Malformed):
            write = log.error if text in _BODIES else log.debug
            write(f"{text}: {error}", **fields)
        headers: tuple[tuple[str, str], ...] = JSON
        if status == 504:
            headers += offline_header(call)
        close = isinstance(error, TooLarge)
        return Response(status, headers, error_body(text), close=close)

    def _finish(self, call: Call, route: Route, start: int, response: Response, *, counted: bool = True) -> Response:
        """See to the audit line, count, and hand the answer over. An audit log that cannot be written refuses.

        The line is written at the end of the turn, before the answer leaves; one by one while that fails.
        """
        spent = time.perf_counter_ns() - start
        counters, status, audit, before = self.server.counters, response.status, self.server.audit, None
        if self._audited or audit.subscribed:
            if audit.failing:
                status, response = self._audit_now(call, route, spent, response)
            else:
                before = audit.later(audit_line, call, route, status, spent, time.time_ns())
        counters.answers[route.path, status] += 1
        if route.counted and counted and (not call.refused or call.identity or not route.auth) and status != 403:
            counters.counted[status] += 1
            counters.times.observe(spent / 1e9)
        line = b"X-Request-Id: %b\r\n" % call.request_id.encode()
        return Response(status, response.headers, response.body, response.close, response.after, line, before)

    def _audit_now(self, call: Call, route: Route, spent: int, response: Response) -> tuple[int, Response]:
        try:
            self.server.audit.add(audit_line(call, route, response.status, spent, time.time_ns()))
        except Error as error:
            self.server.log.error(str(error))
            return 500, Response(500, response.headers[:1], error_body("failed to write audit log"))
        return response.status, response


async def _read(body: Body, limit: int) -> bytes:
    """Return at most limit bytes of the body and throw the rest away: only its first JSON value counts."""
    if body.length is not None and body.length > limit + _SKIPPED_BODY:
        raise TooLarge(f"{body.length} bytes")
    kept, seen = bytearray(), 0

    def sink(window: memoryview) -> None:
        nonlocal seen
        seen += len(window)
        if seen > limit + _SKIPPED_BODY:
            raise TooLarge(f"more than {limit} bytes")
        kept.extend(window[: max(0, limit - len(kept))])

    await body.feed(sink)
    return bytes(kept)


def _identify(certificates: tuple[bytes, ...]) -> Caller:
    fingerprint = hashlib.sha256(certificates[0]).hexdigest() if certificates else ""
    try:
        return Caller(identity.of_peer(certificates), fingerprint)
    except Malformed as error:
        return Caller("", fingerprint, error.with_traceback(None))


def _fields(call: Call) -> dict[str, str]:
    request = call.request
    return {
        "req__method": request.method,
        "req__path": call.path,
        "req__ip": call.address or request.peer.address,
        "req__identity": call.identity or "<unknown>",
        "req__id": call.request_id,
    }


def _reason(error: Error) -> str:
    cause = error.__cause__
    return f"{error.args[0] if error.args else error}: {cause}" if cause is not None else str(error)


def refuse(status: int, message: str) -> Response:
    """Render what `net` refuses before a request exists, in our form."""
    return Response(status, (("Content-Type", "application/json"),), error_body(message), close=True)
