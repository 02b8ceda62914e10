"""`import`: copy secrets, policies and AppRoles from a Vault or OpenBao (docs/guide/move-from-vault.md)."""

from collections.abc import Callable
from pathlib import Path

from strongroom.cli.kms.call import Call
from strongroom.cli.kms.client import Client
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.settings import Settings
from strongroom.cli.kms.transfer.approles import copy_approles
from strongroom.cli.kms.transfer.kv import copy_kv
from strongroom.cli.kms.transfer.policies import copy_policies
from strongroom.cli.kms.transfer.report import Item, State, Transfer

KINDS = ("kv", "policies", "approles")


def run_import(call: Call) -> int:
    """Copy, or with -dry-run compare; exit code 0 when everything that can be copied is there, else 2."""
    wanted = _wanted(call)
    transfer = Transfer(
        source=Client(_source(call), call.brand.program, keep=True),
        target=Client(call.settings, call.brand.program, keep=True),
        dry_run=call.flag("dry-run"),
        overwrite=call.flag("overwrite"),
        tell=lambda item: _tell(call, item),
    )
    steps: dict[str, Callable[[], None]] = {
        "policies": lambda: copy_policies(transfer),
        "kv": lambda: copy_kv(transfer, call.flag("mount")),
        "approles": lambda: copy_approles(transfer),
    }
    try:
        for name, step in steps.items():
            if name in wanted:
                step()
    except ServerFault as fault:
        raise fault.under("Error copying") from None
    finally:
        transfer.source.close()
        transfer.target.close()
    _finish(call, transfer)
    return 0 if transfer.good else REMOTE


def _wanted(call: Call) -> tuple[str, ...]:
    only: tuple[str, ...] = call.flag("only")
    unknown = [name for name in only if name not in KINDS]
    if unknown:
        raise Fault(f"Unknown kind: {unknown[0]}. Known: {', '.join(KINDS)}")
    return only or KINDS


def _source(call: Call) -> Settings:
    """Return the source's settings; its token comes from a file or a variable, never from the command line."""
    address = str(call.flag("from")).rstrip("/")
    if not address:
        raise Fault("Missing -from: the address of the Vault or OpenBao to copy from")
    if address == call.settings.address and call.flag("from-namespace") == call.settings.namespace:
        raise Fault("-from is the target's own address")
    ca_cert = call.flag("from-ca-cert")
    if ca_cert and not Path(ca_cert).is_file():
        raise Fault(f"open {ca_cert}: no such file or directory")
    return Settings(
        address=address,
        token=_source_token(call),
        namespace=f"{name}/" if (name := str(call.flag("from-namespace")).strip("/")) else "",
        ca_cert=ca_cert,
        skip_verify=call.flag("from-tls-skip-verify"),
        timeout_seconds=call.settings.timeout_seconds,
        retries=max(call.settings.retries, 2),
    )


def _source_token(call: Call) -> str:
    name = call.flag("from-token-file")
    if name:
        try:
            return Path(name).read_text("utf-8").strip()
        except OSError as error:
            raise Fault(f"open {name}: {str(error.strerror).lower()}") from None
    token = call.environment.get("FROM_TOKEN")
    if not token:
        raise Fault(f"Missing the source's token: set {call.brand.variable}_FROM_TOKEN or give -from-token-file")
    return token


def _tell(call: Call, item: Item) -> None:
    """Show what needs attention at once, everything with -verbose."""
    if call.plain and (call.flag("verbose") or item.state not in (State.COPIED, State.SAME)):
        call.say(f"{item.state.value}: {item.kind} {item.name}" + (f" ({item.detail})" if item.detail else ""))


def _finish(call: Call, transfer: Transfer) -> None:
    counts = transfer.counts()
    summary = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state]) or "nothing to copy"
    if call.plain:
        call.say(summary)
        return
    items = [
        {"kind": item.kind, "name": item.name, "state": item.state.name.lower(), "detail": item.detail}
        for item in transfer.items
    ]
    call.structure({"items": items, "counts": {state.name.lower(): counts[state] for state in State}})


COMMANDS = {
    "import": Command(
        run_import,
        "-from=ADDRESS [flags]",
        "Copies policies, key/value secrets (with all their versions) and AppRoles (with their role ids) from a Vault "
        "or OpenBao into the server that VAULT_ADDR names; VAULT_FROM_TOKEN and VAULT_TOKEN hold the tokens. "
        "It can be repeated: what is there already is left, and an "
        "interrupted copy goes on. -dry-run compares and changes nothing, so it also proves a finished copy.",
        "PROGRAM import -from=https://old:8200 -dry-run\nPROGRAM import -from=https://old:8200",
        flags=(
            Flag("from", "address of the server to copy from"),
            Flag("from-token-file", "file with a token of that server (else VAULT_FROM_TOKEN)"),
            Flag("from-ca-cert", "PEM file of the certificates to trust for that server"),
            Flag("from-tls-skip-verify", "accept any certificate of that server", Kind.SWITCH),
            Flag("from-namespace", "namespace to copy from"),
            Flag("only", f"what to copy: {', '.join(KINDS)} (default all)", Kind.LIST),
            Flag("mount", "copy this key/value mount only; may be repeated", Kind.LIST),
            Flag("dry-run", "only compare", Kind.SWITCH),
            Flag("overwrite", "replace what differs in the target", Kind.SWITCH),
            Flag("verbose", "show every item", Kind.SWITCH),
        ),
        exits="Exit codes: 0 all that can be copied is there, 1 wrong usage, 2 something is missing or failed.",
    ),
}
