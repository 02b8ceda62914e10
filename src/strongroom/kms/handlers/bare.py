"""Routes outside the mounts: no token, no envelope, no audit (vault.md 1.4, 2.2 to 2.5)."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from strongroom.kms.domain.errors import Refused
from strongroom.kms.handlers.core import PROTOCOL_VERSION
from strongroom.kms.handlers.render import error_body, json_response
from strongroom.kms.wire import gojson
from strongroom.messages import Request, Response

if TYPE_CHECKING:
    from strongroom.kms.handlers.pipeline import Pipeline

Answer = Response | Awaitable[Response]
Bare = Callable[["Pipeline", Request, bytes], Answer]
_TRUE, _FALSE = {"1", "t", "T", "TRUE", "true", "True"}, {"0", "f", "F", "FALSE", "false", "False", ""}
_INIT_INTS = ("secret_shares", "secret_threshold", "stored_shares", "recovery_shares", "recovery_threshold")


def no_texts(status: int) -> Response:
    """Return an error without a text."""
    return json_response(status, error_body([]))


def _strict(data: dict[str, Any], struct: str, kinds: dict[str, type]) -> dict[str, Any]:
    """Return data with member names in lower case; raise Refused for a member of another type."""
    found = {}
    for name, value in data.items():
        low = name.lower()
        kind = kinds.get(low)
        if kind is not None and value is not None and type(value) is not kind:
            given = {str: "string", bool: "bool", dict: "object", list: "array"}.get(type(value), "number")
            wanted = {str: "string", bool: "bool", int: "int"}[kind]
            raise Refused(
                f"failed to decode JSON input: json: cannot unmarshal {given} into Go struct field "
                f"{struct}.{low} of type {wanted}"
            )
        found[low] = value
    return found


def init(pipeline: "Pipeline", request: Request, body: bytes) -> Answer:
    """GET: whether initialised. PUT: initialise."""
    if request.method == "GET":
        return json_response(200, gojson.encode({"initialized": pipeline.sealing.config is not None}))
    data = _strict(gojson.decode(body, "http.InitRequest"), "InitRequest", dict.fromkeys(_INIT_INTS, int))
    return _init(pipeline, {name: value for name, value in data.items() if value is not None})


async def _init(pipeline: "Pipeline", data: dict[str, Any]) -> Response:
    return json_response(200, gojson.encode(await pipeline.sealing.init(data)))


def seal_status(pipeline: "Pipeline", request: Request, body: bytes) -> Response:
    """Return the seal-status object."""
    return json_response(200, gojson.encode(pipeline.sealing.status()))


def unseal(pipeline: "Pipeline", request: Request, body: bytes) -> Answer:
    """Take one share."""
    data = gojson.decode(body, "http.UnsealRequest")
    asked = _strict(data, "UnsealRequest", {"key": str, "reset": bool, "migrate": bool})
    before = pipeline.core.unsealed
    found = pipeline.sealing.unseal(asked)
    if not isinstance(found, dict):
        return _migrated(found)
    if pipeline.core.cluster is not None and before is None and pipeline.core.unsealed is not None:
        return _unsealed(pipeline)
    return json_response(200, gojson.encode(found))


async def _migrated(waiting: Awaitable[dict[str, Any]]) -> Response:
    return json_response(200, gojson.encode(await waiting))


async def _unsealed(pipeline: "Pipeline") -> Response:
    """Answer an unseal once the server has tried to become active."""
    if pipeline.core.cluster is not None:
        await pipeline.core.cluster.unsealed()
    return json_response(200, gojson.encode(pipeline.sealing.status()))


def leader(pipeline: "Pipeline", request: Request, body: bytes) -> Response:
    """Say who leads (vault.md 2.5)."""
    core = pipeline.core
    if core.cluster is None:
        return json_response(200, gojson.encode({"ha_enabled": False}))
    address = core.cluster.address
    if core.standby:
        found = core.cluster.election.leader()
        address = found.address if found is not None else ""
    answer = {
        "ha_enabled": True,
        "is_self": core.unsealed is not None and not core.standby,
        "active_time": core.active_time,
        "leader_address": address,
        "leader_cluster_address": address,
        "performance_standby": False,
        "performance_standby_last_remote_wal": 0,
    }
    return json_response(200, gojson.encode(answer))


_CODES = (
    ("uninitcode", 501),
    ("sealedcode", 503),
    ("standbycode", 429),
    ("activecode", 200),
    ("drsecondarycode", 472),
    ("performancestandbycode", 473),
)


def health(pipeline: "Pipeline", request: Request, body: bytes) -> Response:
    """Return the health object under the status that the state and the parameters ask for (vault.md 2.4)."""
    if request.headers.get("x-vault-namespace", "").strip("/") not in ("", "root"):
        raise Refused("operation unavailable in namespaces")
    given = dict(parse_qsl(request.query, keep_blank_values=True))
    codes = {}
    for name, default in _CODES:
        text = given.get(name)
        if text is not None and not (text.isascii() and text.isdigit()):
            return no_texts(400)
        codes[name] = default if text is None else int(text)
    for name in ("standbyok", "perfstandbyok"):
        if given.get(name, "") not in _TRUE | _FALSE:
            return no_texts(400)
    core = pipeline.core
    live, ready = core.unsealed, pipeline.sealing.config is not None
    if not ready:
        code = codes["uninitcode"]
    elif live is None:
        code = codes["sealedcode"]
    elif core.standby:
        code = codes["activecode"] if given.get("standbyok", "") in _TRUE else codes["standbycode"]
    else:
        code = codes["activecode"]
    replication = "unknown" if live is None else "disabled"
    found = {
        "initialized": ready,
        "sealed": live is None,
        "standby": live is None or core.standby,
        "replication_performance_mode": replication,
        "replication_dr_mode": replication,
        "server_time_utc": core.clock() // 1_000_000_000,
        "version": PROTOCOL_VERSION,
    }
    if live is not None:
        found |= {"cluster_name": live.cluster.name, "cluster_id": live.cluster.id}
    return json_response(code, gojson.encode(found))


BARE: dict[str, tuple[frozenset[str], Bare]] = {
    "sys/init": (frozenset({"GET", "PUT", "POST"}), init),
    "sys/seal-status": (frozenset({"GET"}), seal_status),
    "sys/unseal": (frozenset({"PUT", "POST"}), unseal),
    "sys/leader": (frozenset({"GET"}), leader),
    "sys/health": (frozenset({"GET", "HEAD"}), health),
}
