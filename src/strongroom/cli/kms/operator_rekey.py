"""`operator rekey` and `operator rotate-keys`: new unseal or recovery keys (vault.md 2.11)."""

from dataclasses import dataclass
from typing import Any

from strongroom.cli.kms import table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.operator_init import read_keys
from strongroom.cli.kms.quorum import share_and_nonce

_SHARES, _THRESHOLD = 5, 3
_BARRIER = ("barrier", "", "root")
_ORDER = (
    "nonce", "started", "t", "n", "progress", "required", "complete", "keys", "keys_base64", "pgp_fingerprints",
    "backup", "verification_required", "verification_nonce",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """The routes of one kind of rekey: the originals' without a token, or those that want one."""

    barrier: str
    recovery: str
    starting: str  # the verb that starts one

    def route(self, call: Call, tail: str) -> str:
        """Return a route for the kind of keys that -target names; raise Fault for an unknown one."""
        target = str(call.flag("target"))
        if target not in (*_BARRIER, "recovery", "hsm"):
            raise Fault(f"Unknown target: {target}")
        return f"{self.barrier if target in _BARRIER else self.recovery}/{tail}"


_OPEN = Family("sys/rekey", "sys/rekey-recovery-key", "PUT")
_WITH_TOKEN = Family("sys/rotate/root", "sys/rotate/recovery", "POST")


def rekey(call: Call) -> int:
    """Do one step of a rekey through sys/rekey."""
    return _step(call, _OPEN)


def rotate_keys(call: Call) -> int:
    """Do one step of a rekey through sys/rotate."""
    return _step(call, _WITH_TOKEN)


def _step(call: Call, family: Family) -> int:
    steps = (
        ("backup-delete", _drop_backup),
        ("backup-retrieve", _backup),
        ("cancel", _cancel),
        ("init", _start),
        ("status", _status),
    )
    step = next((run for name, run in steps if call.flag(name)), _give)
    return step(call, family)


def _ask(call: Call, method: str, route: str, body: Any, failing: str) -> dict[str, Any]:
    """Return the members of an answer, in their order; raises ServerFault headed by what failed."""
    try:
        value = call.client.request(method, route, body).json() or {}
    except ServerFault as fault:
        raise fault.under(failing) from None
    data = value.get("data") or value
    return {name: data[name] for name in _ORDER if name in data} | {k: v for k, v in data.items() if k not in _ORDER}


def _state_route(call: Call, family: Family) -> str:
    return family.route(call, "verify" if call.flag("verify") else "init")


def _status(call: Call, family: Family) -> int:
    state = _ask(call, "GET", _state_route(call, family), ..., "Error reading rekey status")
    return _show_verification(call, state) if call.flag("verify") else _show(call, state)


def _cancel(call: Call, family: Family) -> int:
    _ask(call, "DELETE", _state_route(call, family), ..., "Error canceling rekey")
    return call.success("Canceled rekeying (if it was started)")


def _start(call: Call, family: Family) -> int:
    body = {
        "secret_shares": call.flag("key-shares") or _SHARES,
        "secret_threshold": call.flag("key-threshold") or _THRESHOLD,
        "pgp_keys": read_keys(call.flag("pgp-keys")) or None,
        "backup": call.flag("backup"),
        "require_verification": call.flag("verify"),
    }
    route = family.route(call, "init")
    state = _ask(call, family.starting, route, body, "Error initializing rekey")
    if not state:  # old servers answer 204
        state = _ask(call, "GET", route, ..., "Error reading rekey status")
    if call.plain and not body["pgp_keys"]:
        call.note(
            "WARNING! If you lose the keys after they are returned, there is no recovery.\n"
            "Consider canceling this operation and re-initializing with the -pgp-keys flag\n"
            "to protect the returned unseal keys along with -backup to allow recovery of\n"
            "the encrypted keys in case of emergency. You can delete the stored keys later\n"
            "using the -delete flag."
        )
        call.say("")
    return _show(call, state)


def _give(call: Call, family: Family) -> int:
    """Give a share: of the old keys, or of the new ones where they are to be verified."""
    verify = call.flag("verify")
    state = _ask(call, "GET", _state_route(call, family), ..., "Error getting rekey status")
    if not state.get("started"):
        raise Fault(
            "No rekey is in progress. Start a rekey process by running\n"
            f'"{call.brand.program} operator {_name(family)} -init".'
        )
    share, nonce = share_and_nonce(call, str(state.get("nonce")), "Rekey operation")
    tail = "verify" if verify else "update"
    method = "PUT" if family is _OPEN else "POST"
    route = family.route(call, tail)
    answer = _ask(call, method, route, {"key": share, "nonce": nonce}, "Error posting unseal key")
    if not answer.get("complete"):
        return _show_verification(call, answer) if verify else _show(call, answer)
    if verify:
        return _verified(call, answer)
    return _new_keys(call, family, state, answer)


def _name(family: Family) -> str:
    return "rekey" if family is _OPEN else "rotate-keys"


def _verified(call: Call, answer: dict[str, Any]) -> int:
    call.show(
        answer, "Rekey verification successful. The rekey operation is complete and the new\nkeys are now active.\n"
    )
    return 0


def _new_keys(call: Call, family: Family, state: dict[str, Any], answer: dict[str, Any]) -> int:
    call.show(answer, _keys_text(call, state, answer))
    if call.plain and answer.get("verification_required"):
        verification = _ask(call, "GET", family.route(call, "verify"), ..., "Error reading rekey status")
        call.say("")
        return _show_verification(call, verification)
    return 0


def _keys_text(call: Call, state: dict[str, Any], answer: dict[str, Any]) -> str:
    prints = answer.get("pgp_fingerprints") or []
    marks = [f" fingerprint: {prints[at]};" if at < len(prints) else "" for at in range(len(answer["keys"]))]
    keys = answer.get("keys_base64") or answer["keys"]
    lines = ["", *(f"Key {at}{mark}: {key}" for at, (key, mark) in enumerate(zip(keys, marks, strict=True), 1))]
    lines += ["", f"Operation nonce: {answer.get('nonce')}", ""]
    shares, threshold = state.get("n"), state.get("t")
    if answer.get("verification_required"):
        lines.append(
            f"These {shares} shares, of which {threshold} are needed, are NOT valid yet: give a quorum of them with\n"
            f'"{call.brand.program} operator rekey -verify" first. Until then the old ones stay valid; keep them.'
        )
    else:
        lines.append(
            f"The unseal key is now split into {shares} shares, any {threshold} of which unseal the server. Hand each\n"
            "share printed above to its keeper: they are shown this once, and the old ones no longer work."
        )
    return "\n".join(lines) + "\n"


def _backup(call: Call, family: Family) -> int:
    route = family.route(call, "backup")
    found = _ask(call, "GET", route, ..., "Error retrieving rekey backed up keys")
    call.show(found, table.pairs(sorted(found.items())))
    return 0


def _drop_backup(call: Call, family: Family) -> int:
    _ask(call, "DELETE", family.route(call, "backup"), ..., "Error deleting rekey backed up keys")
    return call.success("Deleted backed up keys (if they existed)")


def _show(call: Call, state: dict[str, Any]) -> int:
    rows: list[tuple[str, Any]] = [("Nonce", state.get("nonce") or ""), ("Started", bool(state.get("started")))]
    if state.get("started"):
        rows += [
            ("Progress", f"{state.get('progress', 0)}/{state.get('required', 0)}"),
            ("New Shares", state.get("n")),
            ("New Threshold", state.get("t")),
            ("Verification Required", bool(state.get("verification_required"))),
        ]
        rows += [("Verification Nonce", state["verification_nonce"])] if state.get("verification_nonce") else []
        rows += [("PGP Fingerprints", state["pgp_fingerprints"])] if state.get("pgp_fingerprints") else []
        rows += [("Backup", True)] if state.get("backup") else []
    call.show(state, table.pairs(rows))
    return 0


def _show_verification(call: Call, state: dict[str, Any]) -> int:
    rows = [
        ("Started", bool(state.get("started"))),
        ("New Shares", state.get("n")),
        ("New Threshold", state.get("t")),
        ("Verification Nonce", state.get("nonce")),
        ("Verification Progress", f"{state.get('progress', 0)}/{state.get('t', 0)}"),
    ]
    call.show(state, table.pairs(rows))
    return 0


_FLAGS = (
    Flag("init", "start", Kind.SWITCH),
    Flag("status", "show how far it is", Kind.SWITCH),
    Flag("cancel", "drop it; the old keys stay valid", Kind.SWITCH),
    Flag("verify", "with -init: new keys count only once a quorum of them was given; later: give one", Kind.SWITCH),
    Flag("key-shares", "how many new shares (default 5)", Kind.NUMBER, ("n",)),
    Flag("key-threshold", "how many of them are needed (default 3)", Kind.NUMBER, ("t",)),
    Flag("nonce", "the running attempt's nonce"),
    Flag("pgp-keys", "files of PGP public keys, one a share, to encrypt the shares for", Kind.LIST),
    Flag("target", "barrier (unseal keys) or recovery", default="barrier"),
    Flag("backup", "keep a copy of the encrypted shares in the server", Kind.SWITCH),
    Flag("backup-retrieve", "show that copy", Kind.SWITCH, ("retrieve",)),
    Flag("backup-delete", "remove that copy", Kind.SWITCH, ("delete",)),
)  # fmt: skip
_ABOUT = (
    "Makes new shares of the unseal key (or of the recovery key): start with -init, then a quorum of key holders gives "
    "a share each. Stored data is not touched."
)

COMMANDS = {
    "operator rekey": Command(
        rekey,
        "[flags] [KEY]",
        _ABOUT,
        "PROGRAM operator rekey -init -key-shares=3 -key-threshold=2\nPROGRAM operator rekey",
        (0, 1),
        _FLAGS,
    ),
    "operator rotate-keys": Command(
        rotate_keys,
        "[flags] [KEY]",
        _ABOUT + " Every step wants a token that may use sys/rotate.",
        "PROGRAM operator rotate-keys -init -key-shares=3 -key-threshold=2\nPROGRAM operator rotate-keys",
        (0, 1),
        _FLAGS,
    ),
}
