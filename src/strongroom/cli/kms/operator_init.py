"""`operator init` (vault.md 2.2, 10.3 and 10.5)."""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import LOCAL, Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind

_SHARES, _THRESHOLD = 5, 3
_NOT_INITIALISED = 2


def init(call: Call) -> int:
    """Initialise a server, or with -status say whether it is."""
    if call.flag("status"):
        return _status(call)
    seal = call.client.request("GET", "sys/seal-status", ask=True).json() or {}
    shamir = str(seal.get("type") or "shamir") == "shamir"
    body = _request(call, shamir)
    try:
        answer = call.client.request("PUT", "sys/init", body).json() or {}
    except ServerFault as fault:
        raise fault.under("Error initializing") from None
    call.show(_structure(body, answer), _text(call, body, answer))
    return 0


def _status(call: Call) -> int:
    """Say whether the server is initialised: exit code 0 yes, 2 no, 1 cannot be asked."""
    try:
        answer = call.client.request("GET", "sys/init").json() or {}
    except ServerFault as fault:
        raise Fault(f"Error checking init status: {fault.text}", LOCAL) from None
    done = bool(answer.get("initialized"))
    call.show({"Initialized": done}, f"Vault is {'' if done else 'not '}initialized\n")
    return 0 if done else _NOT_INITIALISED


def _request(call: Call, shamir: bool) -> dict[str, Any]:
    """Return the request; counts that were not given are 5 and 3, for the kind of keys that the seal has."""
    shares, threshold = call.flag("key-shares"), call.flag("key-threshold")
    recovery, recovery_threshold = call.flag("recovery-shares"), call.flag("recovery-threshold")
    if shamir:
        shares, threshold = shares or _SHARES, threshold or _THRESHOLD
    else:
        recovery, recovery_threshold = recovery or _SHARES, recovery_threshold or _THRESHOLD
    root = read_keys([call.flag("root-token-pgp-key")]) if call.flag("root-token-pgp-key") else [""]
    return {
        "secret_shares": shares,
        "secret_threshold": threshold,
        "pgp_keys": read_keys(call.flag("pgp-keys")) or None,
        "recovery_shares": recovery,
        "recovery_threshold": recovery_threshold,
        "recovery_pgp_keys": read_keys(call.flag("recovery-pgp-keys")) or None,
        "root_token_pgp_key": root[0],
    }


def read_keys(names: Sequence[str]) -> list[str]:
    """Return PGP public keys from files, as base64 of their binary form; raise Fault when one cannot be read."""
    return [_read_key(name) for name in names]


def _read_key(name: str) -> str:
    if name.startswith("keybase:"):
        raise Fault(f"{name}: keys are read from files only; export the public key to one")
    try:
        data = Path(name.removeprefix("@")).read_bytes()
    except OSError as error:
        raise Fault(f"open {name}: {str(error.strerror).lower()}") from None
    text = data.strip()
    if text.startswith(b"-----BEGIN PGP"):
        lines = [line.strip() for line in text.splitlines()]
        body = lines[lines.index(b"") + 1 : -1] if b"" in lines else lines[1:-1]
        return b"".join(line for line in body if not line.startswith(b"=")).decode("ascii", "replace")
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return base64.b64encode(data).decode()
    return text.decode("ascii")


def _structure(body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    recovery = answer.get("recovery_keys_base64")
    return {
        "unseal_keys_b64": answer.get("keys_base64") or [],
        "unseal_keys_hex": answer.get("keys") or [],
        "unseal_shares": body["secret_shares"],
        "unseal_threshold": body["secret_threshold"],
        "recovery_keys_b64": recovery,
        "recovery_keys_hex": answer.get("recovery_keys"),
        "recovery_keys_shares": body["recovery_shares"],
        "recovery_keys_threshold": body["recovery_threshold"],
        "root_token": answer.get("root_token"),
    }


def _text(call: Call, body: dict[str, Any], answer: dict[str, Any]) -> str:
    lines = [f"Unseal Key {at}: {key}" for at, key in enumerate(answer.get("keys_base64") or (), 1)]
    lines += [f"Recovery Key {at}: {key}" for at, key in enumerate(answer.get("recovery_keys_base64") or (), 1)]
    lines += ["", f"Initial Root Token: {answer.get('root_token')}", ""]
    shares, threshold = body["secret_shares"], body["secret_threshold"]
    if answer.get("keys_base64"):
        lines.append(_shamir_words(call, shares, threshold))
    else:
        lines.append(_recovery_words(call, body["recovery_shares"], body["recovery_threshold"]))
    return "\n".join(lines) + "\n"


def _shamir_words(call: Call, shares: int, threshold: int) -> str:
    return (
        f"Vault initialized with {shares} key shares and a key threshold of {threshold}. Please securely\n"
        "distribute the key shares printed above. When the Vault is re-sealed,\n"
        f"restarted, or stopped, you must supply at least {threshold} of these keys to unseal it\n"
        "before it can start servicing requests.\n\n"
        f"Vault does not store the generated root key. Without at least {threshold} keys to\n"
        "reconstruct the root key, Vault will remain permanently sealed!\n\n"
        "It is possible to generate new unseal keys, provided you have a quorum\n"
        f'of existing unseal keys shares. See "{call.brand.program} operator {call.brand.rekey}" for more\n'
        "information."
    )


def _recovery_words(call: Call, shares: int, threshold: int) -> str:
    return (
        "Success! Vault is initialized\n\n"
        f"The seal unseals this server by itself. The {shares} recovery keys printed above, of which\n"
        f"{threshold} are needed, allow a new root token or new recovery keys; they cannot unseal.\n"
        "Without the seal's own key everything stored here is lost, so back that key up.\n\n"
        f'See "{call.brand.program} operator {call.brand.rekey} -target=recovery" for new recovery keys.'
    )


COMMANDS = {
    "operator init": Command(
        init,
        "[flags]",
        "Initialises a new server: makes its keys, prints the shares of the unseal key and the first root token. "
        "Both are shown this once and stored nowhere.",
        "PROGRAM operator init -key-shares=5 -key-threshold=3",
        flags=(
            Flag("key-shares", "how many shares (default 5)", Kind.NUMBER, ("n",)),
            Flag("key-threshold", "how many of them unseal (default 3)", Kind.NUMBER, ("t",)),
            Flag("pgp-keys", "files of PGP public keys, one a share, to encrypt the shares for", Kind.LIST),
            Flag("root-token-pgp-key", "file of a PGP public key to encrypt the root token for"),
            Flag("recovery-shares", "the same counts for a seal that unseals by itself", Kind.NUMBER),
            Flag("recovery-threshold", "how many recovery shares are needed", Kind.NUMBER),
            Flag("recovery-pgp-keys", "files of PGP public keys for the recovery shares", Kind.LIST),
            Flag("stored-shares", "accepted; it has no effect", Kind.NUMBER),
            Flag("status", "only say whether the server is initialised", Kind.SWITCH),
        ),
        exits="Exit codes: 0 done, 1 wrong usage, 2 refused; with -status 0 initialised, 1 error, 2 not initialised.",
    ),
}
