"""`operator generate-root`: a root token from a quorum of shares (vault.md 2.12)."""

import base64
import binascii
import secrets
import string
from typing import Any

from strongroom.cli.kms import table
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.client import Answer
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.operator_init import read_keys
from strongroom.cli.kms.quorum import share_and_nonce

_BASE62 = string.ascii_letters + string.digits
_ORDER = (
    "nonce", "started", "progress", "required", "complete", "encoded_token", "encoded_root_token", "pgp_fingerprint",
    "otp", "otp_length",
)  # fmt: skip
_NO_ROUTE = (404, 405)


def generate_root(call: Call) -> int:
    """Do the one step that the flags name; without one, give a share."""
    steps = (
        ("generate-otp", _make_otp),
        ("decode", _decode),
        ("status", _status),
        ("cancel", _cancel),
        ("init", _start),
    )
    step = next((run for name, run in steps if call.flag(name)), _give)
    return step(call)


def _ask(call: Call, method: str, tail: str, body: Any = ...) -> Answer:
    """Send to the brand's route, and to the other one where a server has not got it."""
    first, second = call.brand.generate_root
    try:
        return call.client.request(method, f"{first}/{tail}", body)
    except ServerFault as fault:
        if fault.status not in _NO_ROUTE:
            raise
        return call.client.request(method, f"{second}/{tail}", body)


def _state(call: Call) -> dict[str, Any]:
    try:
        return _members(_ask(call, "GET", "attempt"))
    except ServerFault as fault:
        raise fault.under("Error getting root generation status") from None


def _members(answer: Answer) -> dict[str, Any]:
    value = answer.json() or {}
    data = value.get("data") or value
    return {name: data[name] for name in _ORDER if name in data}


def _make_otp(call: Call) -> int:
    length = int(_state(call).get("otp_length") or 0)
    return call.print_field("".join(secrets.choice(_BASE62) for _ in range(length)))


def _decode(call: Call) -> int:
    """Print the token that XOR of the encoded one and the one-time password gives."""
    otp = str(call.flag("otp"))
    if not otp:
        raise Fault("Missing otp: use -otp to supply it")
    encoded = str(call.flag("decode"))
    try:
        data = base64.b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), validate=True)
    except binascii.Error as error:
        raise Fault(f"Error decoding root token: error decoding base64'd token: {error}") from None
    if len(data) != len(otp.encode()):
        lengths = f"{len(data)} != {len(otp.encode())}"
        raise Fault(
            f"Error decoding root token: error xoring token: length of byte slices is not equivalent: {lengths}"
        )
    return call.print_field(bytes(a ^ b for a, b in zip(data, otp.encode(), strict=True)).decode("utf-8", "replace"))


def _status(call: Call) -> int:
    return _show(call, _state(call))


def _cancel(call: Call) -> int:
    try:
        _ask(call, "DELETE", "attempt")
    except ServerFault as fault:
        raise fault.under("Error canceling root token generation") from None
    return call.success("Root token generation canceled (if it was started)")


def _start(call: Call) -> int:
    key = read_keys([call.flag("pgp-key")])[0] if call.flag("pgp-key") else ""
    try:
        state = _members(_ask(call, "PUT", "attempt", {"otp": call.flag("otp"), "pgp_key": key}))
    except ServerFault as fault:
        raise fault.under("Error initializing root generation") from None
    if state.get("otp") and call.plain:
        call.note(
            "A One-Time-Password has been generated for you and is shown in the OTP field.\n"
            "You will need this value to decode the resulting root token, so keep it safe."
        )
    return _show(call, state)


def _give(call: Call) -> int:
    state = _state(call)
    if not state.get("started"):
        raise Fault(_not_started(call, state))
    share, nonce = share_and_nonce(call, str(state.get("nonce")), "Operation")
    try:
        answer = _members(_ask(call, "PUT", "update", {"key": share, "nonce": nonce}))
    except ServerFault as fault:
        raise fault.under("Error posting unseal key") from None
    return _show(call, answer)


def _not_started(call: Call, state: dict[str, Any]) -> str:
    length = state.get("otp_length", 0)
    return (
        f'No root generation is in progress. Start a root generation by running "{call.brand.program}\n'
        'operator generate-root -init".\n'
        "If starting root generation using the OTP method and generating your own OTP,\n"
        f"the length of the OTP string needs to be {length} characters in length."
    )


def _show(call: Call, state: dict[str, Any]) -> int:
    progress = f"{state.get('progress', 0)}/{state.get('required', 0)}"
    rows: list[tuple[str, Any]] = [
        ("Nonce", state.get("nonce") or ""),
        ("Started", state.get("started")),
        ("Progress", progress),
        ("Complete", state.get("complete")),
    ]
    optional = (
        ("PGP Fingerprint", state.get("pgp_fingerprint")),
        ("Encoded Token", state.get("encoded_token") or state.get("encoded_root_token")),
        ("OTP", state.get("otp")),
        ("OTP Length", state.get("otp_length") if str(state.get("otp_length") or 0) != "0" else None),
    )
    rows += [(label, value) for label, value in optional if value]
    call.show(state, table.columns([(label, table.text(value)) for label, value in rows]))
    return 0


COMMANDS = {
    "operator generate-root": Command(
        generate_root,
        "[flags] [KEY]",
        "Makes a root token without one: start with -init, which prints a one-time password and a nonce; then a quorum "
        "of key holders gives a share each; -decode with -otp turns the result into the token.",
        "PROGRAM operator generate-root -init\n"
        "PROGRAM operator generate-root\n"
        "PROGRAM operator generate-root -decode=ENCODED -otp=OTP",
        (0, 1),
        (
            Flag("init", "start", Kind.SWITCH),
            Flag("status", "show how far it is", Kind.SWITCH),
            Flag("cancel", "drop it", Kind.SWITCH),
            Flag("generate-otp", "only make a one-time password", Kind.SWITCH),
            Flag("decode", "turn this encoded token into the token; needs -otp"),
            Flag("otp", "the one-time password, for -init and -decode"),
            Flag("pgp-key", "file of a PGP public key to encrypt the token for, instead of a password"),
            Flag("nonce", "the running attempt's nonce"),
        ),
    ),
}
