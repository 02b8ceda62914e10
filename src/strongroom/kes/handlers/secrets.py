"""`/v1/secret/...`: small values that another key server keeps here as its key store (kes.md 1.7, 6.8).

They lie in our key store beside the keys, under `<name>-secret-`: an entry that no key's name can be.
"""

import base64
import re

import msgspec

from strongroom.errors import Malformed
from strongroom.kes.domain.errors import BadKeyName, BadPattern, KeyExists, KeyNotFound, SecretExists, SecretNotFound
from strongroom.kes.handlers.call import EMPTY, JSON, Call, failing, listed
from strongroom.kes.handlers.keys import PAGE
from strongroom.kes.wire import json
from strongroom.messages import Response

_SUFFIX = "-secret-"
_NAME = re.compile(r"[0-9A-Za-z_-]{1,110}")  # the marks of the other server's keys end in `-`
_PATTERN = re.compile(r"[0-9A-Za-z_-]{0,110}\*?")
MAX_SECRET = 1 << 20  # bytes


def _entry(call: Call) -> str:
    if not _NAME.fullmatch(call.argument):
        raise BadKeyName(call.argument)
    return call.argument + _SUFFIX


async def create(call: Call) -> Response:
    """`PUT /v1/secret/create/<name>`: `{"bytes": base64}`; durable before the answer."""
    entry, members = _entry(call), json.go_object(call.body)
    if members.get("type") not in (None, "", "generic"):
        raise Malformed("a secret's type is generic")
    value = json.go_bytes(members.get("bytes"))
    with failing("failed to create secret"):
        try:
            await call.state.keyring.store.create(entry, base64.b64encode(value))
        except KeyExists:
            raise SecretExists(call.argument) from None
    return EMPTY


async def read(call: Call) -> Response:
    """`GET /v1/secret/read/<name>`."""
    entry = _entry(call)
    with failing("failed to read secret"):
        try:
            value = await call.state.keyring.store.get(entry)
        except KeyNotFound:
            raise SecretNotFound(call.argument) from None
    return Response(200, JSON, b'{"bytes":"%b","type":"generic"}\n' % value)


async def delete(call: Call) -> Response:
    """`DELETE /v1/secret/delete/<name>`."""
    entry = _entry(call)
    with failing("failed to delete secret"):
        try:
            await call.state.keyring.store.delete(entry)
        except KeyNotFound:
            raise SecretNotFound(call.argument) from None
    return EMPTY


async def names(call: Call) -> Response:
    """`GET /v1/secret/list/<pattern>`: all names at once."""
    if not _PATTERN.fullmatch(call.argument):
        raise BadPattern(call.argument)
    prefix, found, after = call.argument.removesuffix("*"), list[str](), ""
    with failing("failed to list secrets"):
        while page := await call.state.keyring.store.names(prefix, after, PAGE):
            found += [entry.removesuffix(_SUFFIX) for entry in page if entry.endswith(_SUFFIX)]
            after = page[-1]
    return listed(call, "name", found) or Response(200, JSON, msgspec.json.encode({"names": sorted(found)}) + b"\n")
