"""sys/policies/acl and the older sys/policy (vault.md 2.7)."""

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING, Any

from strongroom.errors import Malformed
from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Nothing, Refused, UnsupportedOperation
from strongroom.kms.domain.records import PolicyRecord
from strongroom.kms.domain.values import rfc3339
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.policies import RESPONSE_WRAPPING

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

FIELDS = {"policy": "text", "rules": "text", "cas": "int", "cas_required": "bool", "ttl": "any", "expiration": "any"}


class PolicyRoutes:
    """Both families of policy routes."""

    def __init__(self, core: "Core") -> None:
        self.core = core

    def routes(self) -> list[Route]:
        """Return the routes."""
        up = acl.UPDATE
        new = {acl.READ: self.read, up: self.write, acl.PATCH: self.patch, acl.DELETE: self.delete}
        old = {acl.READ: self.read_old, up: self.write, acl.DELETE: self.delete}
        return [
            route("policies/acl/?", {acl.LIST: self.list_names, acl.READ: self.unlisted}),
            route("policies/acl/(?P<name>.+)", new, fields=FIELDS),
            route("policy/?", {acl.LIST: self.list_old, acl.READ: self.list_old}),
            route("policy/(?P<name>.+)", old, fields=FIELDS),
        ]

    def unlisted(self, call: Call) -> Reply:
        """A GET of the collection without `list`."""
        raise UnsupportedOperation("unsupported operation")

    def list_names(self, call: Call) -> Reply:
        """Return all names."""
        return Reply(data={"keys": self.core.live.policies.names(call.work)})

    def list_old(self, call: Call) -> Reply:
        """Return all names, twice."""
        names = self.core.live.policies.names(call.work)
        return Reply(data={"keys": names, "policies": names}, hoist=True)

    def _found(self, call: Call) -> tuple[str, PolicyRecord]:
        name = call.captures["name"].lower()
        record = self.core.live.policies.read(call.work, name)
        if record is None:
            raise Nothing(name)
        return name, record

    def _shown(self, call: Call, member: str) -> dict[str, Any]:
        name, record = self._found(call)
        found: dict[str, Any] = {"name": name, member: record.text, "version": record.version}
        if record.modified:
            found["modified"] = rfc3339(record.modified)
        switches = ("allow_slashes_in_identity_templates", "allow_wildcards_in_identity_templates")
        return found | dict.fromkeys(switches, False) | {"cas_required": record.cas_required}

    def read(self, call: Call) -> Reply:
        """Return a policy's text."""
        return Reply(data=self._shown(call, "policy"))

    def read_old(self, call: Call) -> Reply:
        """Return a policy's text as `rules`, as old clients read it."""
        return Reply(data=self._shown(call, "rules"), hoist=True)

    def write(self, call: Call) -> Reply | None:
        """Store a policy."""
        name = call.captures["name"].lower()
        warnings = []
        text = call.get("policy")
        if not text and call.get("rules"):
            text = call.get("rules")
            warnings.append("'rules' is deprecated, please use 'policy' instead")
        if not text:
            raise Refused("'policy' parameter not supplied or empty")
        if name in ("root", RESPONSE_WRAPPING):
            raise Refused(f'cannot update "{name}" policy')
        old = self.core.live.policies.read(call.work, name)
        self._check_cas(call, old)
        if call.data.get("ttl") or call.data.get("expiration"):
            raise Refused("policies do not expire here: 'ttl' and 'expiration' are not supported")
        record = PolicyRecord(_text(text), old.version + 1 if old else 1, call.now, call.get("cas_required"))
        try:
            self.core.live.policies.write(call.work, name, record)
        except Malformed as error:
            raise Refused(str(error)) from error
        return Reply(warnings=warnings) if warnings else None

    def _check_cas(self, call: Call, old: PolicyRecord | None) -> None:
        if old is not None and old.cas_required and not call.has("cas"):
            raise Refused("check-and-set parameter required for this call")
        if call.has("cas") and call.get("cas") != (old.version if old else -1):
            current = old.version if old else -1
            raise Refused(f"check-and-set parameter {call.get('cas')} did not match the current version {current}")

    def patch(self, call: Call) -> Reply:
        """Change a policy's text."""
        self._found(call)
        self.write(call)
        return Reply()

    def delete(self, call: Call) -> None:
        """Forget a policy."""
        name = call.captures["name"].lower()
        if name in ("root", RESPONSE_WRAPPING):
            raise Refused(f'cannot delete "{name}" policy')
        if name == "default":
            raise Refused("cannot delete default policy")
        self.core.live.policies.delete(call.work, name)


def _text(text: str) -> str:
    """Return a policy's text, which may come as base64."""
    try:
        decoded = b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return text
    return decoded


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return PolicyRoutes(core).routes()
