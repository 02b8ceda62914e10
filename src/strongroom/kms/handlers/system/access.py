"""sys/capabilities*, sys/internal/ui: what a token may do and which mounts it may see (vault.md 2.8, 2.9)."""

from typing import TYPE_CHECKING, Any

from strongroom.kms.domain import acl
from strongroom.kms.domain.errors import Failed, Forbidden, Refused
from strongroom.kms.domain.records import Mount, Token
from strongroom.kms.handlers.call import Call, Reply, Route, route
from strongroom.kms.handlers.render import DENIED
from strongroom.kms.handlers.system.mounts import shown
from strongroom.kms.handlers.wrapping import header_token
from strongroom.kms.wire.policies import one_error

if TYPE_CHECKING:
    from strongroom.kms.handlers.core import Core

FIELDS = {"paths": "list", "path": "list", "token": "text", "accessor": "text"}
SEEN_BY_ALL = ("sys/", "cubbyhole/", "identity/", "auth/token/")


class Access:
    """What tokens may do."""

    def __init__(self, core: "Core") -> None:
        self.core = core

    def routes(self) -> list[Route]:
        """Return the routes."""
        up, read = acl.UPDATE, acl.READ
        return [
            route("capabilities", {up: self.of_token}, fields=FIELDS),
            route("capabilities-self", {up: self.of_self}, fields=FIELDS),
            route("capabilities-accessor", {up: self.of_accessor}, fields=FIELDS),
            route("internal/ui/mounts", {read: self.all_mounts}, open=True),
            route("internal/ui/mounts/(?P<path>.+)", {read: self.one_mount}, open=True),
            route("internal/ui/resultant-acl", {read: self.resultant}),
        ]

    def _answer(self, call: Call, token: Token) -> Reply:
        paths = call.get("paths") or call.get("path")
        if not paths:
            raise Refused("paths must be supplied")
        rules = self.core.acl_of(call.work, token)
        found: dict[str, Any] = {path: rules.capabilities(path.removeprefix("/")) for path in paths}
        if len(paths) == 1:
            found["capabilities"] = found[paths[0]]
        return Reply(data=found, hoist=True)

    def of_self(self, call: Call) -> Reply:
        """Tell what the caller may do."""
        return self._answer(call, call.require_token())

    def of_token(self, call: Call) -> Reply:
        """Tell what another token may do."""
        text = call.get("token")
        if not text:
            raise Failed("no token found")
        token = self.core.live.tokens.find(call.work, text, call.seconds)
        if token is None:
            raise Refused(one_error("invalid token"))
        return self._answer(call, token)

    def of_accessor(self, call: Call) -> Reply:
        """Tell what the token with an accessor may do."""
        token = self.core.live.tokens.by_accessor(call.work, call.get("accessor"), call.seconds)
        if token is None:
            raise Refused(one_error("invalid accessor"))
        return self._answer(call, token)

    def _caller(self, call: Call) -> Token | None:
        """Return the caller's token, None without one; raise Forbidden for a bad one."""
        text = header_token(call)
        if not text:
            return None
        token = self.core.live.tokens.find(call.work, text, call.seconds)
        if token is None:
            raise Forbidden(DENIED)
        call.token, call.token_text = token, text
        return token

    def one_mount(self, call: Call) -> Reply:
        """Return the mount that a full path lies in, to a token with any access below it."""
        token = self._caller(call)
        if token is None:
            raise Forbidden(DENIED)
        path = call.captures["path"]
        mount = self.core.live.mounts.match(path if path.endswith("/") else path + "/")
        if mount is None or not self._visible(call, token, mount):
            asked = path.rstrip("/") + "/"
            raise Forbidden(
                "preflight capability check returned 403, please ensure client's policies grant access to "
                f'path "{asked}"'
            )
        return Reply(data=shown(mount) | {"path": mount.path})

    def _visible(self, call: Call, token: Token, mount: Mount) -> bool:
        return self.core.acl_of(call.work, token).any_below(mount.path)

    def all_mounts(self, call: Call) -> Reply:
        """Return the mounts that the caller may see; without a token those that are listed for all."""
        token = self._caller(call)
        found: dict[str, dict[str, Any]] = {"auth": {}, "secret": {}}
        for mount in self.core.live.mounts:
            auth = mount.path.startswith("auth/")
            short = mount.path.removeprefix("auth/") if auth else mount.path
            if token is None:
                if mount.config.listing_visibility == "unauth":
                    kept = {"type": mount.type, "description": mount.description, "options": mount.options}
                    found["auth" if auth else "secret"][short] = kept
            elif self._visible(call, token, mount) or mount.path in SEEN_BY_ALL:
                found["auth" if auth else "secret"][short] = shown(mount)
        return Reply(data=found)

    def resultant(self, call: Call) -> Reply:
        """Return the caller's united rules."""
        rules = self.core.acl_of(call.work, call.require_token())
        if rules.root:
            return Reply(data={"root": True})

        def names(rule: acl.Rule) -> dict[str, Any]:
            return {"capabilities": sorted(n for n, bit in acl.CAPABILITIES.items() if rule.capabilities & bit)}

        exact = {path: names(rule) for path, rule in rules.exact.items()}
        globs = {path.removesuffix("*"): names(rule) for path, rule in rules.patterns.items()}
        return Reply(data={"root": False, "exact_paths": exact, "glob_paths": globs})


def routes(core: "Core") -> list[Route]:
    """Return the routes of this family."""
    return Access(core).routes()
