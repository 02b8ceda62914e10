"""KV version 1 and the cubbyhole (vault.md 5.1, 3.6): a value is the JSON object as it came, members sorted."""

from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl, fields
from strongroom.kms.domain.errors import Nothing, Refused
from strongroom.kms.domain.records import Mount
from strongroom.kms.handlers.call import Backend, Call, Reply, Router, route
from strongroom.kms.handlers.policies import RESPONSE_WRAPPING
from strongroom.kms.handlers.wrapping import WrapRecord
from strongroom.kms.wire import gojson

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core


def lease_seconds(data: dict[str, Any], default: int) -> int:
    """Return the advisory lease of a value: its `ttl` or `lease` member, else the mount's default."""
    for name in ("ttl", "lease"):
        if name in data:
            try:
                return int(fields.to_seconds(data[name]))
            except ValueError:
                return default
    return default


class Kv1(Backend):
    """A KV version 1 engine; a value lies under `v/<path>`."""

    kind = "kv"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        operations = {
            acl.READ: self.read,
            acl.UPDATE: self.write,
            acl.DELETE: self.delete,
            acl.LIST: self.list_names,
            acl.SCAN: self.scan,
        }
        self.router = Router([route(r"(?P<path>.*)", operations, exists=self.exists)])

    def prefix(self, call: Call) -> str:
        """Return where the caller's values lie."""
        return self.mount.prefix

    def exists(self, call: Call) -> bool:
        """Say whether a write would replace a value."""
        return call.work.get(self.prefix(call) + call.path) is not None

    def read(self, call: Call) -> Reply:
        """Return a value with its advisory lease."""
        value = call.work.get(self.prefix(call) + call.path)
        if value is None:
            raise Nothing(call.full)
        seconds, raw = value.split(b"\n", 1)
        duration = int(seconds) if seconds else self.core.default_ttl(self.mount)
        return Reply(raw=raw, lease_duration=duration)

    def write(self, call: Call) -> None:
        """Replace a value as a whole."""
        if not call.path:
            raise Refused("missing path")
        if not call.data:
            raise Refused("missing data fields")
        lease = lease_seconds(call.data, -1)
        head = b"" if lease < 0 else str(lease).encode()
        call.work.put(self.prefix(call) + call.path, head + b"\n" + gojson.encode(call.data))

    def delete(self, call: Call) -> None:
        """Remove a value so that no byte of it stays in the files."""
        key = self.prefix(call) + call.path
        if call.work.get(key) is not None:
            call.work.delete(key, erase=True)

    def list_names(self, call: Call) -> Reply:
        """Return the names directly below a folder."""
        names = call.work.names(self.prefix(call) + call.path)
        if not names:
            raise Nothing(call.full)
        return Reply(data={"keys": names})

    def scan(self, call: Call) -> Reply:
        """Return every name below a folder."""
        start = self.prefix(call) + call.path
        names = [key[len(start) :] for key in call.work.walk(start)]
        if not names:
            raise Nothing(call.full)
        return Reply(data={"keys": names})


class Cubbyhole(Kv1):
    """Values private to one token, destroyed with it; no lease."""

    kind = "cubbyhole"

    def prefix(self, call: Call) -> str:
        """Return the caller's own place; raise Refused for batch tokens."""
        token = call.require_token()
        if token.kind != "service":
            raise Refused("cubbyhole operations are only supported by 'service' type tokens")
        return f"cubbyhole/{token.hash}/"

    def exists(self, call: Call) -> bool:
        """Say whether a write would replace a value."""
        return call.require_token().kind != "service" or super().exists(call)

    def read(self, call: Call) -> Reply:
        """Return a value; to a wrapping token the answer that it holds, as clients of before `unwrap` read it."""
        if call.path == "response" and call.require_token().policies == [RESPONSE_WRAPPING]:
            record = call.work.load(self.prefix(call) + call.path, WrapRecord)
            if record is None:
                raise Nothing(call.full)
            return Reply(data={"response": record.body.decode().rstrip("\n")})
        reply = super().read(call)
        reply.lease_duration = 0
        return reply
