"""auth/token/: create, look up, renew and revoke tokens, and their roles (vault.md 3)."""

from typing import TYPE_CHECKING

from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Failed, Forbidden, Refused
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.domain.tokens import Lifetime, issue_ttl, shortest
from strongroom.kms.handlers.call import Auth, Call, Renewal, Reply, Router, route
from strongroom.kms.handlers.rounds import in_turns
from strongroom.kms.handlers.token_creation import CREATE, TokenCreation
from strongroom.kms.handlers.token_roles import described
from strongroom.kms.wire.policies import one_error

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

TIDY = "Tidy operation successfully started. Any information from the operation will be printed to the server's logs."


class TokenAuth(TokenCreation):
    """The token store's routes."""

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(core, mount)
        one, accessor = {"token": "text"}, {"accessor": "text"}
        renew = {"increment": "seconds"}
        up = acl.UPDATE
        self.router = Router(
            [
                route("create", {up: self.create}, fields=CREATE, sudo=False),
                route("create-orphan", {up: self.create_orphan}, fields=CREATE),
                route("create/(?P<role_name>[^/]+)", {up: self.create_for_role}, fields=CREATE),
                route("lookup-self", {acl.READ: self.lookup_self, up: self.lookup_self}, fields=one),
                route("lookup", {acl.READ: self.lookup, up: self.lookup}, fields=one),
                route("lookup-accessor", {up: self.lookup_accessor}, fields=accessor),
                route("renew-self", {up: self.renew_self}, fields=renew | one),
                route("renew", {up: self.renew}, fields=renew | one),
                route("renew-accessor", {up: self.renew_accessor}, fields=renew | accessor),
                route("revoke-self", {up: self.revoke_self}),
                route("revoke", {up: self.revoke}, fields=one),
                route("revoke-orphan", {up: self.revoke_orphan}, fields=one, sudo=True),
                route("revoke-accessor", {up: self.revoke_accessor}, fields=accessor),
                route("accessors/?", {acl.LIST: self.accessors}, sudo=True),
                *self.role_routes(),
                route("tidy", {up: self.tidy}),
            ]
        )

    def _named(self, call: Call) -> tuple[str, Token | None]:
        """Return the text and token that the request names, the caller's own without a name."""
        text = call.get("token")
        if not text:
            return call.token_text, call.token
        return text, self.core.live.tokens.find(call.work, text, call.seconds)

    def lookup(self, call: Call) -> Reply:
        """Describe a token."""
        text, token = self._named(call)
        if token is None:
            raise Forbidden("bad token")
        return Reply(data=described(token, text, call.seconds))

    def lookup_self(self, call: Call) -> Reply:
        """Describe the caller's token."""
        return Reply(data=described(call.require_token(), call.token_text, call.seconds))

    def _by_accessor(self, call: Call) -> Token:
        accessor = call.get("accessor")
        if not accessor:
            raise Refused(one_error("missing accessor"))
        token = self.core.live.tokens.by_accessor(call.work, accessor, call.seconds)
        if token is None:
            raise Refused(one_error("invalid accessor"))
        return token

    def lookup_accessor(self, call: Call) -> Reply:
        """Describe a token without telling its text."""
        return Reply(data=described(self._by_accessor(call), "", call.seconds))

    def renew_self(self, call: Call) -> Reply:
        """Prolong the caller's token."""
        return self._renew(call, call.token_text, call.require_token())

    def renew(self, call: Call) -> Reply:
        """Prolong a token."""
        text = call.get("token")
        if not text:
            raise Refused("missing token ID")
        token = self.core.live.tokens.find(call.work, text, call.seconds)
        if token is None:
            raise Refused("token not found")
        return self._renew(call, text, token)

    def renew_accessor(self, call: Call) -> Reply:
        """Prolong a token without being told its text."""
        return self._renew(call, "", self._by_accessor(call))

    def _renew(self, call: Call, text: str, token: Token) -> Reply:
        if token.kind == "batch":
            raise Refused("batch tokens cannot be renewed")
        if not token.expires:
            raise Refused("invalid lease ID")
        if not token.renewable:
            raise Refused("lease is not renewable")
        rules = self._rules(call, token)
        elapsed = call.seconds - token.created
        ttl, warnings = issue_ttl(rules[0], elapsed) if elapsed < rules[0].maximum or rules[1] else (0, [])
        if ttl <= 0:
            raise Refused("past the max TTL, cannot renew")
        token.renewed, token.granted = call.seconds, ttl
        self.core.live.tokens.reschedule(call.work, token, call.seconds + ttl)
        return Reply(auth=Auth(text, token, ttl, token.renewable), warnings=warnings or None)

    def _rules(self, call: Call, token: Token) -> tuple[Lifetime, bool]:
        """Return what bounds a renewal, and whether the token is periodic; a login's role is read again."""
        increment = call.get("increment")
        mount = self.core.live.mounts.get(token.source) if token.source else self.mount
        if mount is None:
            raise Failed("failed to renew entry: the auth method is gone")
        found: Renewal | None = None
        if token.source:
            found = self.core.live.backends[mount.uuid].renewed(call, token)
        if found is None:
            found = self._own_rules(call, token)
        maximum = min(found.max_ttl or self.core.max_ttl(mount), self.core.max_ttl(mount))
        default = found.ttl or token.ttl or self.core.default_ttl(mount)
        explicit = shortest(token.explicit_max_ttl, found.explicit_max_ttl)
        return Lifetime(default, maximum, increment, found.period, explicit), bool(found.period)

    def _own_rules(self, call: Call, token: Token) -> Renewal:
        """Return the rules of a token that no login made: its own, and what its role says now."""
        period, explicit = float(token.period), float(token.explicit_max_ttl)
        if token.role:
            role = self.role(call.work, token.role)
            if role is None:
                raise Failed(
                    f'failed to renew entry: original token role "{token.role}" could not be found, not renewing'
                )
            period, explicit = shortest(period, role.token_period), role.token_explicit_max_ttl
        return Renewal(token.granted or token.ttl, 0, period, explicit)

    def revoke_self(self, call: Call) -> None:
        """Revoke the caller's token and its children."""
        token = call.require_token()
        self._not_batch(token)
        self.core.live.tokens.revoke(call.work, token.hash)

    def _not_batch(self, token: Token | None) -> None:
        if token is not None and token.kind == "batch":
            raise Refused("batch tokens cannot be revoked")

    def _doomed(self, call: Call) -> str:
        text = call.get("token")
        if not text:
            raise Refused("missing token ID")
        if text.startswith("b."):
            self._not_batch(self.core.live.tokens.find(call.work, text, call.seconds))
        return self.core.live.tokens.hash(text)

    def revoke(self, call: Call) -> None:
        """Revoke a token and its children; an unknown one is no error."""
        self.core.live.tokens.revoke(call.work, self._doomed(call))

    def revoke_orphan(self, call: Call) -> None:
        """Revoke a token; its children live on as orphans."""
        name = self._doomed(call)
        if self.core.live.tokens.by_hash(call.work, name) is None:
            raise Refused("token to revoke not found")
        self.core.live.tokens.revoke(call.work, name, tree=False)

    def revoke_accessor(self, call: Call) -> Reply | None:
        """Revoke the token with an accessor; an unknown one is a warning."""
        accessor = call.get("accessor")
        if not accessor:
            raise Refused(one_error("missing accessor"))
        token = self.core.live.tokens.by_accessor(call.work, accessor, call.seconds)
        if token is None:
            return Reply(warnings=["No token found with this accessor"])
        self.core.live.tokens.revoke(call.work, token.hash)
        return None

    async def accessors(self, call: Call) -> Reply:
        """Return the accessors of all tokens."""
        found = []
        async for name in in_turns(self.core, call.work.names("sys/token/id/")):
            token: Token | None = call.work.load(f"sys/token/id/{name}", Token)
            if token is not None and not (token.expires and call.seconds >= token.expires):
                found.append(token.accessor)
        return Reply(data={"keys": sorted(found)})

    def tidy(self, call: Call) -> Reply:
        """Answer as the original does; nothing is left over here that would need it."""
        return Reply(status=202, warnings=[TIDY])
