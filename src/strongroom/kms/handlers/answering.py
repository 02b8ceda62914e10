"""What becomes of a routed call: token, policy, backend, storage, audit, answer (vault.md 1.5).

Calls are answered synchronously where nothing has to be waited for; otherwise an awaitable is returned that ends when
the writes are durable (or an outside service has answered).
"""

import asyncio
import traceback
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from strongroom.errors import Error
from strongroom.kms.domain import acl
from strongroom.kms.domain.entries import Ticket
from strongroom.kms.domain.errors import (
    Failed,
    Forbidden,
    NoRoute,
    RateLimited,
    Refusal,
    Sealed,
    UnsupportedOperation,
    UnsupportedPath,
)
from strongroom.kms.handlers.call import HELP, NAMES, Call, Reply
from strongroom.kms.handlers.reading import LISTS, echo, find_token, token_text
from strongroom.kms.handlers.render import DENIED, error_response, reply_response
from strongroom.kms.handlers.wrapping import wrap
from strongroom.kms.wire import gojson
from strongroom.messages import Request, Response

LATE = "context deadline exceeded"
SNAPSHOT = "sys/storage/raft/snapshot"
READS = acl.READ | LISTS


def carry_out(request: Request, call: Call) -> Response | Awaitable[Response]:
    """Check token and policy, then run the handler; answer what comes of it."""
    core, work, route = call.core, call.work, call.route
    last = False
    try:
        core.quota(call)  # first: guesses of tokens count as well
        if route is None or not route.opens(call.data):
            text = call.token_text = token_text(request)
            call.token = token = find_token(core, work, text, call.now)
            if token is None:
                raise Forbidden(DENIED)
            if token.bound_cidrs:
                core.check_cidrs(token.bound_cidrs, call.peer.address)
            if token.num_uses > 0 and not (route is not None and route.unspent):
                last = core.live.tokens.use(work, token)
            call.rules = core.acl_of(work, token)
            _check(call, call.rules)
        if core.audit.active:
            held = call.operation & READS or (route is not None and route.pure and call.operation == acl.UPDATE)
            core.audit.request(call, None, hold=bool(held))
        reply = _run(call)
    except Error as error:
        return _failed(request, call, error, last)
    except Exception as error:
        return _failed(request, call, _unexpected(call, error), last)
    if reply is None or type(reply) is Reply:
        return _settle(request, call, reply, last)
    return _later(request, call, reply, last)


def _check(call: Call, rules: acl.Acl) -> None:
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


def _run(call: Call) -> Any:
    route = call.route
    if call.operation == HELP:
        return _help(call)
    if route is None:
        if not call.mount.uuid:
            raise NoRoute(f'no handler for route "{call.full}". route entry not found.')
        found = call.core.live.backends[call.mount.uuid].missing(call)
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


def _help(call: Call) -> Reply:
    """Answer `?help=1` with the fields of the route."""
    known = sorted(call.route.fields) if call.route is not None else []
    text = f"Request: {call.full}\n\nParameters: {', '.join(known) or 'none'}\n"
    return Reply(bare=gojson.encode({"help": text, "see_also": None, "openapi": None}))


async def _later(request: Request, call: Call, waiting: Awaitable[Reply | None], last: bool) -> Response:
    limit = None if call.full.startswith(SNAPSHOT) else call.listener.max_request_duration
    try:
        async with asyncio.timeout(limit):
            reply = await waiting
        _check_place(call)
    except TimeoutError:
        answer = _failed(request, call, Failed(LATE), last)
    except Error as error:
        answer = _failed(request, call, error, last)
    except Exception as error:
        answer = _failed(request, call, _unexpected(call, error), last)
    else:
        answer = _settle(request, call, reply, last)
    return await answer if not isinstance(answer, Response) else answer


def _check_place(call: Call) -> None:
    """Raise unless what a waiting call wants to store still has its place: no seal, restore or unmount since."""
    if call.upload is not None:
        call.work.discard()  # of the storage that was replaced
    if call.work.changed:
        live = call.core.unsealed
        if live is None or live.entries is not call.work.entries:
            raise Sealed("Vault is sealed")
        if call.mount.uuid not in live.backends:
            raise NoRoute(f'no handler for route "{call.full}". route entry not found.')


def _unexpected(call: Call, error: Exception) -> Error:
    """Tell the operator about an error of ours; the client gets 500, and nothing of the request is stored."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    call.core.warn(f"{NAMES[call.operation]} {call.full}: {type(error).__name__} at {place}")
    return Error("unexpected")


def _failed(request: Request, call: Call, error: Error, last: bool) -> Response | Awaitable[Response]:
    """Answer an error; what the request wrote is dropped, except a spent use of its token."""
    core = call.core
    core.metrics.refused += 1
    used = call.token is not None and (call.token.num_uses or last) and core.unsealed is not None
    call.work.discard()
    if used and call.token is not None:
        if last:
            core.live.tokens.revoke(call.work, call.token.hash)
        else:
            core.live.tokens.save(call.work, call.token)
    flood = isinstance(error, RateLimited) and not call.noted  # it must not fill the log as well
    if core.audit.active and core.unsealed is not None and not flood:
        try:
            core.audit.refused(call, error)
        except Error as failure:
            error = failure
    ticket = call.work.commit()
    answer = _refused(error, request)
    return answer if ticket is None or ticket.done else _when_durable(ticket, answer)


def _settle(request: Request, call: Call, reply: Reply | None, last: bool) -> Response | Awaitable[Response]:
    """Send the writes on their way, wrap if asked, audit, render."""
    core = call.core
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
            return _finish(request, call, wrapped)
        waiting = [t for t in call.work.waiting if not t.done]
        if ticket is not None and not ticket.done:
            waiting.append(ticket)
        return _durable(request, call, wrapped, waiting) if waiting else _finish(request, call, wrapped)
    except Error as error:
        return _failed(request, call, error, last=False)


async def _durable(request: Request, call: Call, wrapped: Reply | None, waiting: list[Ticket]) -> Response:
    try:
        async with asyncio.timeout(call.listener.max_request_duration):
            for ticket in waiting:
                await ticket.wait()
        return _finish(request, call, wrapped)
    except TimeoutError:
        return _refused(Failed(LATE), request)
    except Error as error:
        return _refused(error, request)


def _finish(request: Request, call: Call, wrapped: Reply | None) -> Response:
    if call.core.audit.active:
        call.core.audit.response(call, wrapped)
    call.core.metrics.count(call, (call.core.clock() - call.now) / 1e9)
    shown = "" if wrapped is not None and wrapped.wrap is not None else call.request_id
    return reply_response(wrapped, shown, echo(request))


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


def _refused(error: Error, request: Request) -> Response:
    return error_response(error, echo(request))
