"""The members of an audit line (docs/formats/audit-log.md). The first three are what the original's events have."""

import json

from strongroom.audit.times import nanoseconds_text
from strongroom.kes.handlers.call import Call
from strongroom.kes.handlers.routes import Route


def audit_line(call: Call, route: Route, status: int, nanoseconds: int, at: int) -> str:
    """Return the line's JSON without its closing brace; nanoseconds is how long the answer took.

    at: when, in nanoseconds since 1970.
    """
    request = call.request
    decision = "deny" if status == 403 or (call.refused and not call.identity) else "allow"
    line = (
        f'{{"time":"{nanoseconds_text(at)}","request":{{"ip":"{call.address}","path":{call.quoted}'
        f',"identity":"{call.identity}"}},"response":{{"code":{status},"time":{nanoseconds}}}'
        f',"id":"{call.request_id}"'
        f',"method":"{request.method}","route":"{route.path}","decision":"{decision}"'
    )
    if call.fingerprint:
        line += f',"certificate":"{call.fingerprint}"'
    if call.version:
        line += f',"key":"{call.argument}","version":{call.version}'
    if call.context and call.state.settings.audit.context:
        line += f',"context":{_context(call.context)}'
    return line


def _context(context: bytes) -> str:
    """Return a context of strings as JSON; anything else is left out, because nobody knows what it holds."""
    try:
        members = json.loads(context)
    except (ValueError, RecursionError):
        return "null"
    if not isinstance(members, dict) or not all(isinstance(value, str) for value in members.values()):
        return "null"
    return json.dumps(members)
