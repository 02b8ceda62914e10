"""sys/leases: token leases, the only ones there are (vault.md 2.13)."""

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Nothing, Refused
from strongroom.kms.domain.values import rfc3339, rfc3339_seconds
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.removal import Doomed

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

FIELDS = {"lease_id": "text", "increment": "seconds", "sync": "bool", "url_lease_id": "text"}
TIDY = "Tidy operation successfully started. Any information from the operation will be printed to the server's logs."


class Leases:
    """The lease routes."""

    def __init__(self, core: "Core") -> None:
        self.core = core

    def routes(self) -> list[Route]:
        """Return the routes."""
        up = acl.UPDATE
        prefix = "(?P<prefix>.*)"
        counts = {"type": "text", "limit": "any", "include_child_namespaces": "bool"}
        return [
            route("leases/lookup", {up: self.lookup}, fields=FIELDS),
            route("leases/lookup/" + prefix, {acl.LIST: self.list_names}, sudo=True),
            route("leases/renew(/(?P<url_lease_id>.+))?", {up: self.renew}, fields=FIELDS),
            route("leases/revoke(/(?P<url_lease_id>.+))?", {up: self.revoke}, fields=FIELDS),
            route("leases/revoke-prefix/" + prefix, {up: self.revoke_prefix}, fields=FIELDS, sudo=True),
            route("leases/revoke-force/" + prefix, {up: self.revoke_prefix}, fields=FIELDS, sudo=True),
            route("leases/tidy", {up: self.tidy}),
            route("leases/count", {acl.READ: self.count}, fields=counts),
            route("leases/?", {acl.READ: self.all}, fields=counts, sudo=True),
        ]

    def _lease_id(self, call: Call) -> str:
        lease: str = call.captures.get("url_lease_id") or call.get("lease_id", "text")
        if not lease:
            raise Refused("lease_id must be specified")
        return lease

    def lookup(self, call: Call) -> Reply:
        """Describe a lease."""
        lease = self._lease_id(call)
        path, _, name = lease.rpartition("/")
        token = self.core.live.tokens.by_hash(call.work, name) if name else None
        if token is None or token.path != path or call.work.get(f"sys/lease/{lease}") is None:
            raise Refused("invalid lease")
        found = {
            "id": lease,
            "path": path,
            "issue_time": rfc3339(token.issued),
            "expire_time": rfc3339_seconds(token.expires) if token.expires else None,
            "last_renewal": rfc3339_seconds(token.renewed) if token.renewed else None,
            "ttl": max(token.expires - call.seconds, 0),
            "renewable": token.renewable,
        }
        return Reply(data=found)

    def list_names(self, call: Call) -> Reply:
        """Return what lies below a prefix."""
        names = call.work.names(f"sys/lease/{call.captures['prefix']}")
        if not names:
            raise Nothing("leases")
        return Reply(data={"keys": names})

    def renew(self, call: Call) -> Reply:
        """Refuse: tokens are renewed at auth/token/."""
        if call.work.get(f"sys/lease/{self._lease_id(call)}") is None:
            raise Refused("lease not found")
        raise Refused("tokens cannot be renewed through this endpoint")

    def revoke(self, call: Call) -> None:
        """Revoke the token of a lease; an unknown lease is no error."""
        lease = self._lease_id(call)
        if call.work.get(f"sys/lease/{lease}") is not None:
            self.core.live.tokens.revoke(call.work, lease.rpartition("/")[2])

    def revoke_prefix(self, call: Call) -> Awaitable[None] | None:
        """Revoke every token whose lease lies below a prefix."""
        prefix = call.captures["prefix"].rstrip("/") + "/"
        doomed, removal = Doomed("", f"sys/lease/{prefix}"), self.core.removal
        if removal.small(doomed):
            removal.at_once(call.work, doomed)
            return None
        return removal.in_slices(call.work, call.request_id, doomed)

    def tidy(self, call: Call) -> Reply:
        """Answer as the original does; expiry runs by itself."""
        return Reply(status=202, warnings=[TIDY])

    def count(self, call: Call) -> Reply:
        """Count leases; none of ours is irrevocable."""
        if call.get("type") == "irrevocable":
            return Reply(data={"counts": {}, "lease_count": 0})
        keys = call.work.walk("sys/lease/")
        return Reply(data={"counts": {}, "lease_count": len(keys)})

    def all(self, call: Call) -> Reply:
        """List irrevocable leases: none."""
        return Reply(data={"leases": {}, "lease_count": 0})


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return Leases(core).routes()
