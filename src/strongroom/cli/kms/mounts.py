"""What `secrets` and `auth` share: flags of a mount, its request bodies and its tables (vault.md 2.6)."""

import time
from collections.abc import Mapping
from typing import Any

from strongroom.cli.kms import durations, table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.faults import REMOTE, Fault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.jsontext import ordered

_POLL_SECONDS = 0.2
_POLL_LIMIT_SECONDS = 600
_ENTRY_ORDER = (
    "uuid", "type", "description", "accessor", "config", "options", "local", "seal_wrap", "external_entropy_access",
    "plugin_version", "running_plugin_version", "running_sha256", "deprecation_status",
)  # fmt: skip
_TAIL = (
    "description", "uuid", "plugin_version", "running_plugin_version", "running_sha256", "deprecation_status",
)  # fmt: skip
_CONFIG_ORDER = ("default_lease_ttl", "max_lease_ttl", "force_no_cache")
_UNTUNED = ("system", "cubbyhole")  # types without lease times

# Members of a mount's config that a flag of the same name sets, sent only when given.
_LISTS = (
    "audit-non-hmac-request-keys", "audit-non-hmac-response-keys", "passthrough-request-headers",
    "allowed-response-headers",
)  # fmt: skip
_LOCKOUT = {
    "user-lockout-threshold": "lockout_threshold",
    "user-lockout-duration": "lockout_duration",
    "user-lockout-counter-reset-duration": "lockout_counter_reset_duration",
    "user-lockout-disable": "lockout_disable",
}

_TUNING = (
    Flag("default-lease-ttl", "life of leases and tokens that ask for none; 0 is the server's", Kind.SPAN),
    Flag("max-lease-ttl", "longest life of leases and tokens; 0 is the server's", Kind.SPAN),
    Flag("description", "a text for people"),
    Flag("options", "option of the engine, as in version=2; may be repeated", Kind.PAIRS),
    Flag("listing-visibility", "unauth shows the mount to callers without a token; hidden does not"),
    Flag("audit-non-hmac-request-keys", "request members that audit lines show in clear", Kind.LIST),
    Flag("audit-non-hmac-response-keys", "answer members that audit lines show in clear", Kind.LIST),
    Flag("passthrough-request-headers", "request headers that reach the engine", Kind.LIST),
    Flag("allowed-response-headers", "headers that the engine may set", Kind.LIST),
    Flag("plugin-version", "version of the engine; there is one only"),
)  # fmt: skip
ENABLING = (
    Flag("path", "where to mount it; the type's name if left out"),
    Flag("local", "keep it out of replication, which this server has not got", Kind.SWITCH),
    Flag("seal-wrap", "accepted; everything is encrypted alike", Kind.SWITCH),
    Flag("external-entropy-access", "accepted; the system's randomness is used", Kind.SWITCH),
    Flag("force-no-cache", "accepted; reads are never served from a stale cache", Kind.SWITCH),
    Flag("plugin-name", "older spelling of the type"),
    *_TUNING,
)
TUNING = _TUNING
ENGINE = (Flag("version", "version of the key/value engine: 1 or 2", Kind.NUMBER),)
METHOD = (Flag("token-type", "service, batch, default-service or default-batch"),)
LOCKOUT = (
    Flag("user-lockout-threshold", "failed logins until an alias is locked", Kind.NUMBER),
    Flag("user-lockout-duration", "how long it stays locked", Kind.SPAN),
    Flag("user-lockout-counter-reset-duration", "how long failures are counted", Kind.SPAN),
    Flag("user-lockout-disable", "never lock", Kind.LATER),
)


def slashed(path: str) -> str:
    """Return a mount's path as it is shown: with a slash at its end."""
    return path.strip("/") + "/"


def enabling_body(call: Call, kind: str) -> dict[str, Any]:
    """Return the body that mounts an engine or method."""
    return {
        "type": kind,
        "description": call.flag("description"),
        "config": {
            "options": None,
            "default_lease_ttl": durations.write(call.flag("default-lease-ttl")),
            "max_lease_ttl": durations.write(call.flag("max-lease-ttl")),
            "force_no_cache": call.flag("force-no-cache"),
            **_extras(call),
        },
        "local": call.flag("local"),
        "seal_wrap": call.flag("seal-wrap"),
        "external_entropy_access": call.flag("external-entropy-access"),
        "options": _options(call),
    }


def tuning_body(call: Call) -> dict[str, Any]:
    """Return the body that changes what the given flags name and nothing else."""
    body: dict[str, Any] = {"options": _options(call)}
    body["default_lease_ttl"] = _span_if_given(call, "default-lease-ttl")
    if "description" in call.given:
        body["description"] = call.flag("description")
    body["max_lease_ttl"] = _span_if_given(call, "max-lease-ttl")
    body["force_no_cache"] = False
    body |= _extras(call)
    lockout = {member: _lockout_text(call.flag(name)) for name, member in _LOCKOUT.items() if name in call.given}
    if lockout:
        body["user_lockout_config"] = lockout
    return body


def _span_if_given(call: Call, name: str) -> str:
    return durations.write(call.flag(name)) if name in call.given else ""


def _lockout_text(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return durations.write(value) if value > durations.SECOND else str(value)


def _extras(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {_member(name): list(call.flag(name)) for name in _LISTS if name in call.given}
    texts = ("listing-visibility", "plugin-version", "token-type")
    return found | {_member(name): call.flag(name) for name in texts if name in call.given}


def _options(call: Call) -> dict[str, str] | None:
    options = dict(call.flag("options") or {})
    if "version" in call.given:
        options["version"] = str(call.flag("version"))
    return dict(sorted(options.items())) or None


def _member(flag: str) -> str:
    return flag.replace("-", "_")


def entries(call: Call, path: str) -> dict[str, dict[str, Any]]:
    """Return the mounts of sys/mounts or sys/auth by path, members in the order they are shown."""
    answer = call.client.request("GET", path).json()
    found = answer.get("data") or answer if isinstance(answer, dict) else {}
    return {
        name: _shaped(entry) for name, entry in sorted(found.items()) if isinstance(entry, dict) and "type" in entry
    }


def _shaped(entry: Mapping[str, Any]) -> dict[str, Any]:
    shaped = {name: entry.get(name, "") for name in _ENTRY_ORDER if name in entry or name == "deprecation_status"}
    shaped |= {name: ordered(entry[name]) for name in sorted(entry) if name not in shaped}
    config = dict(entry.get("config") or {})
    shaped["config"] = {name: config.pop(name) for name in _CONFIG_ORDER if name in config} | ordered(config)
    return shaped


def short_table(found: Mapping[str, Mapping[str, Any]], *, version: bool) -> str:
    """Return path, type, accessor, description of each, for auth methods the version too."""
    head = ("Path", "Type", "Accessor", "Description", *(("Version",) if version else ()))
    rows = [
        (
            path,
            *(
                _text(entry, name)
                for name in ("type", "accessor", "description", *(("plugin_version",) if version else ()))
            ),
        )
        for path, entry in found.items()
    ]
    return table.headed(head, rows)


def long_table(found: Mapping[str, Mapping[str, Any]], *, token_type: bool) -> str:
    """Return every column."""
    third = "Token Type" if token_type else "Force No Cache"
    head = [
        "Path", "Plugin", "Accessor", "Default TTL", "Max TTL", third,
        "Replication", "Seal Wrap", "External Entropy Access", "Options", "Description", "UUID", "Version",
        "Running Version", "Running SHA256", "Deprecation Status",
    ]  # fmt: skip
    return table.headed(head, [_long_row(path, entry, token_type) for path, entry in found.items()])


def _long_row(path: str, entry: Mapping[str, Any], token_type: bool) -> list[str]:
    config = entry.get("config") or {}
    third = (
        str(config.get("token_type") or "default-service")
        if token_type
        else table.text(bool(config.get("force_no_cache")))
    )
    return [
        path,
        _text(entry, "type"),
        _text(entry, "accessor"),
        _lease(entry, "default_lease_ttl"),
        _lease(entry, "max_lease_ttl"),
        third,
        "local" if entry.get("local") else "replicated",
        table.text(bool(entry.get("seal_wrap"))),
        table.text(bool(entry.get("external_entropy_access"))),
        table.text(entry.get("options") or {}),
        *(_text(entry, name) for name in _TAIL),
    ]


def _lease(entry: Mapping[str, Any], name: str) -> str:
    if entry.get("type") in _UNTUNED:
        return "n/a"
    seconds = (entry.get("config") or {}).get(name) or 0
    return str(seconds) if int(seconds) else "system"


def _text(entry: Mapping[str, Any], name: str) -> str:
    return str(entry.get(name) or "")


def move(call: Call, what: str, source: str, target: str) -> int:
    """Ask for a move and wait until it has ended; raises Fault when it failed."""
    answer = call.client.request("POST", "sys/remount", {"from": source, "to": target}).json() or {}
    data = answer.get("data") or answer
    number = data.get("migration_id")
    if not number:
        return call.success(f"Moved {what} {source} to: {target}")
    tail = f"{what} {source} to {target}, with migration ID {number}"
    call.say(f"Started moving {tail}")
    call.say(f"Waiting for terminal status in migration of {tail}")
    state = _wait(call, str(number))
    if state != "success":
        raise Fault(f"Failure! Moving {tail} ended as: {state}", REMOTE)
    return call.success(f"Finished moving {tail}")


def _wait(call: Call, number: str) -> str:
    until = time.monotonic() + _POLL_LIMIT_SECONDS
    while time.monotonic() < until:
        answer = call.client.request("GET", f"sys/remount/status/{number}").json() or {}
        info = (answer.get("data") or answer).get("migration_info") or {}
        state = str(info.get("status", ""))
        if state in ("success", "failure"):
            return state
        time.sleep(_POLL_SECONDS)
    return "still running"
