"""The table of routes (kes.md 1.5): what `/v1/api` lists, and behind it what it does not."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import msgspec

from strongroom.kes.domain.settings import RouteSettings
from strongroom.kes.handlers import keys, lifecycle, making, policies, secrets, system
from strongroom.kes.handlers.call import JSON, Call
from strongroom.messages import Response

Work = Callable[[Call], Response | Awaitable[Response]]
MB = 1_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Route:
    """One row. A path that ends in a slash takes an argument behind it.

    max_body in bytes, 0: a body is not looked at; timeout in seconds, 0 for none. auth False: no policy is asked.
    listed: in `/v1/api`; counted: in the original's metrics. read_keys: its 404 may mean a key.
    """

    method: str
    path: str
    work: Work
    max_body: int = 0
    timeout: float = 15.0
    auth: bool = True
    listed: bool = True
    counted: bool = True
    identified: bool = True  # a missing certificate is an error

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are served: POST goes wherever PUT does."""
        return ("PUT", "POST") if self.method == "PUT" else (self.method,)


def apis(call: Call) -> Response:
    """`GET /v1/api`: exactly the original's routes, with this configuration's timeouts."""
    rows = [
        {"method": route.method, "path": route.path, "max_body": route.max_body, "timeout": int(route.timeout)}
        for route in configured(call.state.settings.routes).values()
        if route.listed
    ]
    return Response(200, JSON, msgspec.json.encode(rows) + b"\n")


def _ours(method: str, path: str, work: Work, max_body: int = 0, timeout: float = 15.0) -> Route:
    return Route(method, path, work, max_body, timeout, listed=False, counted=False)


ROUTES = (
    Route("GET", "/version", system.version, timeout=10, auth=False, identified=False, counted=False),
    Route("GET", "/v1/ready", system.ready, counted=False),
    Route("GET", "/v1/status", system.status, counted=False),
    Route("GET", "/v1/metrics", system.metrics, counted=False),
    Route("GET", "/v1/api", apis, timeout=10, counted=False),
    Route("PUT", "/v1/key/create/", making.create),
    Route("PUT", "/v1/key/import/", making.import_key, MB),
    Route("GET", "/v1/key/describe/", keys.describe),
    Route("GET", "/v1/key/list/", keys.names),
    Route("DELETE", "/v1/key/delete/", making.delete),
    Route("PUT", "/v1/key/generate/", keys.generate, MB),
    Route("PUT", "/v1/key/encrypt/", keys.encrypt, MB),
    Route("PUT", "/v1/key/decrypt/", keys.decrypt, MB),
    Route("PUT", "/v1/key/hmac/", keys.hmac, MB),
    Route("GET", "/v1/policy/describe/", policies.describe_policy),
    Route("GET", "/v1/policy/read/", policies.read_policy),
    Route("GET", "/v1/policy/list/", policies.list_policies),
    Route("GET", "/v1/identity/describe/", policies.describe_identity),
    Route("GET", "/v1/identity/list/", policies.list_identities),
    Route("GET", "/v1/identity/self/describe", policies.describe_self, auth=False, identified=False),
    Route("GET", "/v1/log/error", system.error_stream, timeout=0, counted=False),
    Route("GET", "/v1/log/audit", system.audit_stream, timeout=0, counted=False),
    # Older clients' routes (kes.md 1.7).
    _ours("PUT", "/v1/key/bulk/decrypt/", keys.bulk_decrypt, 1 << 20),
    _ours("GET", "/v1/log/error/trace", system.error_stream, timeout=0),
    _ours("GET", "/v1/log/audit/trace", system.audit_stream, timeout=0),
    _ours("PUT", "/v1/secret/create/", secrets.create, secrets.MAX_SECRET),
    _ours("GET", "/v1/secret/read/", secrets.read),
    _ours("DELETE", "/v1/secret/delete/", secrets.delete),
    _ours("GET", "/v1/secret/list/", secrets.names),
    # Ours (docs/reference/kes.md).
    _ours("PUT", "/v1/lifecycle/rotate/", lifecycle.rotate),
    _ours("PUT", "/v1/lifecycle/disable/", lifecycle.disable),
    _ours("PUT", "/v1/lifecycle/enable/", lifecycle.enable),
    _ours("PUT", "/v1/lifecycle/delete/", lifecycle.delete, MB),
    _ours("PUT", "/v1/lifecycle/restore/", lifecycle.restore),
    _ours("PUT", "/v1/lifecycle/recreate/", lifecycle.recreate),
    _ours("GET", "/v1/lifecycle/describe/", lifecycle.describe),
    _ours("GET", "/v1/lifecycle/list/", lifecycle.listing),
    # Any identity may listen; it hears of the keys that it may use.
    replace(_ours("GET", "/v1/lifecycle/events", lifecycle.events, timeout=0), auth=False),
)


def configured(settings: Mapping[str, RouteSettings]) -> dict[str, Route]:
    """Return the routes by path, changed as the configuration says; unknown paths in it change nothing."""
    routes = {route.path: route for route in ROUTES}
    for path, change in settings.items():
        if path in routes:
            route = routes[path]
            routes[path] = replace(
                route,
                auth=route.auth and not change.skip_auth,
                identified=route.identified and not change.skip_auth,
                timeout=change.timeout or route.timeout,
            )
    return routes
