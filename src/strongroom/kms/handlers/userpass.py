"""auth/userpass/: users with passwords. A password is stored as scrypt under a salt of its own."""

import hmac
import os
from typing import TYPE_CHECKING

from strongroom.kms.domain import acl
from strongroom.kms.domain.cidrs import within
from strongroom.kms.domain.entries import View
from strongroom.kms.domain.errors import Failed, Forbidden, Nothing, Refused
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.handlers import logins
from strongroom.kms.handlers.call import Backend, Call, Handler, Renewal, Reply, Router, route
from strongroom.kms.handlers.logins import TokenRules

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

USER = "user/"
PASSWORD = {"password": "text"}
POLICIES = {"token_policies": "list", "policies": "list"}
FIELDS = logins.FIELDS | logins.OLDER | PASSWORD
WRONG = "invalid username or password"


class User(TokenRules):
    """A user."""

    name: str = ""
    salt: bytes = b""
    hash: bytes = b""

    OLD = logins.OLDER_NAMES

    def __repr__(self) -> str:
        return f"User({self.name!r})"


class UserPass(Backend):
    """A userpass auth method."""

    kind = "userpass"

    def __init__(self, core: "Core", mount: Mount) -> None:
        super().__init__(mount)
        self.core = core
        read, up, name = acl.READ, acl.UPDATE, "(?P<username>[^/]+)"
        one: dict[int, Handler] = {read: self.read, up: self.write, acl.DELETE: self.delete}
        self.router = Router(
            [
                route("users/?", {acl.LIST: self.list_users}),
                route("users/" + name, one, fields=FIELDS, exists=self.exists),
                route("users/" + name + "/password", {up: self.set_password}, fields=PASSWORD),
                route("users/" + name + "/policies", {up: self.set_policies}, fields=POLICIES),
                route("login/" + name, {up: self.login}, fields=PASSWORD, open=True),
            ]
        )

    def user(self, view: View, name: str) -> User | None:
        """Return a user by a name in any case."""
        return view.load(USER + name.lower(), User)  # type: ignore[no-any-return]

    def _known(self, call: Call) -> User:
        user = self.user(call.view, call.captures["username"])
        if user is None:
            raise Failed("username does not exist")
        return user

    async def _hash(self, call: Call, salt: bytes, address: str = "") -> bytes:
        return await self.core.passwords.hash(call.get("password"), salt, call.full, address)

    def exists(self, call: Call) -> bool:
        """Say whether a user is there."""
        return self.user(call.view, call.captures["username"]) is not None

    def list_users(self, call: Call) -> Reply:
        """Return the names of the users."""
        names = call.view.names(USER)
        if not names:
            raise Nothing("users")
        return Reply(data={"keys": names})

    def read(self, call: Call) -> Reply:
        """Return a user without the password."""
        user = self.user(call.view, call.captures["username"])
        if user is None:
            raise Nothing("user")
        found = user.shown()
        return Reply(data={k: v for k, v in found.items() if k not in ("name", "salt", "hash")})

    async def write(self, call: Call) -> None:
        """Make or change a user; only the given fields change."""
        name, salt, made = call.captures["username"].lower(), os.urandom(16), b""
        if call.has("password") and not call.get("password"):
            raise Refused("missing password")
        if call.has("password"):  # before the record is read: others may change it while the hash is computed
            made = await self._hash(call, salt)
        user = self.user(call.view, name) or User(name=name)
        user.take(call)
        if made:
            user.salt, user.hash = salt, made
        if not user.hash:
            raise Refused("missing password")
        call.view.store(USER + name, user)

    def delete(self, call: Call) -> None:
        """Forget a user."""
        call.view.delete(USER + call.captures["username"].lower(), erase=True)

    async def set_password(self, call: Call) -> None:
        """Change a password."""
        if not call.get("password"):
            raise Refused("missing password")
        salt = os.urandom(16)
        made = await self._hash(call, salt)
        user = self._known(call)
        user.salt, user.hash = salt, made
        call.view.store(USER + user.name, user)

    def set_policies(self, call: Call) -> None:
        """Change a user's policies."""
        user = self._known(call)
        user.take(call.narrowed(POLICIES))
        call.view.store(USER + user.name, user)

    async def login(self, call: Call) -> Reply:
        """Exchange name and password for a token; an unknown name takes as long as a wrong password."""
        name, password = call.captures["username"].lower(), call.get("password")
        lockouts, accessor, rule = self.core.lockouts, self.mount.accessor, self.core.lockout_rule(self.mount)
        if not password:
            raise Refused("missing password")
        if lockouts.locked(accessor, name, call.seconds, rule):
            raise Forbidden("permission denied")
        user = self.user(call.view, name)
        salt = user.salt if user is not None else b"0" * 16
        given = await self._hash(call, salt, call.peer.address)
        if lockouts.locked(accessor, name, call.seconds, rule):  # by those who guessed at the same time
            raise Forbidden("permission denied")
        user = self.user(call.view, name)  # as it is now
        if user is None or not hmac.compare_digest(given, user.hash):
            lockouts.failed(accessor, name, call.seconds, rule)
            raise Refused(WRONG)
        if not within(call.peer.address, user.token_bound_cidrs):
            raise Forbidden("permission denied")
        lockouts.succeeded(accessor, name)
        return logins.log_in(
            call,
            user,
            alias=name,
            display_name=f"{self.mount.path.removeprefix('auth/').rstrip('/')}-{name}",
            metadata={"username": name},
            internal={"user": name},
        )

    def renewed(self, call: Call, token: Token) -> Renewal:
        """Return the user's present rules; raise Failed when the user is gone or has other policies."""
        user = self.user(View(call.work, self.mount.prefix), str(token.internal.get("user", "")))
        if user is None:
            raise Failed("user no longer exists during renewal")
        return user.renewal(token)
