"""`login`: get a token and keep it (vault.md 10.3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strongroom.cli.kms import paragraphs
from strongroom.cli.kms.call import Call
from strongroom.cli.kms.client import Client
from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import REMOTE, Fault, ServerFault
from strongroom.cli.kms.flags import Flag, Kind
from strongroom.cli.kms.prompt import NoTerminal, ask_secret
from strongroom.cli.kms.secret import Secret
from strongroom.cli.kms.values import parse_values, read_stdin

_SERVICE_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def _logged_in(call: Call, path: str, body: dict[str, Any]) -> Secret:
    client = Client(replace(call.settings, token=""), call.brand.program)
    secret = client.write(path, body)
    if secret is None or not (secret.auth or secret.wrap_info):
        raise ServerFault("the server sent no token")
    return secret


def _token(call: Call, mount: str, values: dict[str, Any]) -> Secret:
    """Look a token up, so that a bad one is not kept; the answer is shaped as if it had just been made."""
    token = str(values.get("token") or _asked(call, "token"))
    client = Client(replace(call.settings, token=token, wrap_ttl=""), call.brand.program)
    try:
        found = client.read("auth/token/lookup-self")
    except ServerFault as fault:
        raise fault.under("error looking up token") from None
    data = (found.data if found else None) or {}
    return Secret(
        auth={
            "client_token": token,
            "accessor": data.get("accessor"),
            "policies": data.get("policies"),
            "token_policies": data.get("policies"),
            "identity_policies": data.get("identity_policies"),
            "metadata": data.get("meta"),
            "orphan": False,
            "entity_id": data.get("entity_id") or "",
            "lease_duration": int(data.get("ttl") or 0),
            "renewable": bool(data.get("renewable")),
            "mfa_requirement": None,
        },
    )


def _userpass(call: Call, mount: str, values: dict[str, Any]) -> Secret:
    name = values.pop("username", None) or call.environment.get("USERNAME")
    if not name:
        raise Fault("Error authenticating: 'username' must be given", REMOTE)
    values.setdefault("password", None)
    body = values | {"password": values["password"] or _asked(call, "password")}
    return _logged_in(call, f"auth/{mount}/login/{name}", body)


def _approle(call: Call, mount: str, values: dict[str, Any]) -> Secret:
    return _logged_in(call, f"auth/{mount}/login", values)


def _cert(call: Call, mount: str, values: dict[str, Any]) -> Secret:
    return _logged_in(call, f"auth/{mount}/login", values)


def _kubernetes(call: Call, mount: str, values: dict[str, Any]) -> Secret:
    if "jwt" not in values:
        try:
            values["jwt"] = _SERVICE_TOKEN.read_text().strip()
        except OSError as error:
            raise Fault(f"Error authenticating: no jwt given, and {_SERVICE_TOKEN}: {error.strerror}", REMOTE) from None
    return _logged_in(call, f"auth/{mount}/login", values)


@dataclass(frozen=True, slots=True)
class Method:
    """How to log in with one auth method."""

    login: Callable[[Call, str, dict[str, Any]], Secret]
    usage: str
    about: str


METHODS = {
    "token": Method(_token, "[TOKEN]", "Keeps an existing token. Without one it is asked for; - reads standard input."),
    "userpass": Method(
        _userpass, "username=NAME [password=-]", "A name and a password, which is asked for if not given."
    ),
    "ldap": Method(_userpass, "username=NAME [password=-]", "A name and a password, where the server has this method."),
    "approle": Method(_approle, "role_id=ID secret_id=ID", "A machine's role id and secret id."),
    "cert": Method(_cert, "[name=ROLE]", "The client certificate of -client-cert and -client-key."),
    "kubernetes": Method(_kubernetes, "role=ROLE [jwt=TOKEN]", "A service account; its token is read from the pod."),
}


def _asked(call: Call, what: str) -> str:
    """Return a secret typed on the terminal; raises Fault when there is none to type on."""
    if call.flag("non-interactive"):
        raise Fault(f"Error authenticating: '{what}' not supplied and refusing to pull from stdin", REMOTE)
    try:
        return ask_secret(call, f"{what.title()} (will be hidden): ")
    except NoTerminal as error:
        text = f"no {what} was given and it cannot be asked for; pass - to read it from standard input: {error}"
        raise Fault(f"Error authenticating: {text}", REMOTE) from None


def login(call: Call) -> int:
    """Log in, keep the token, show it."""
    if call.flag("no-store") and call.flag("no-print"):
        raise Fault("-no-store and -no-print cannot be used together")
    name = call.flag("method") or "token"
    method = METHODS.get(name)
    if method is None:
        raise Fault(_unknown(call.brand.program, name))
    values = _values(call, name)
    try:
        secret = _unwrapped(call, method.login(call, (call.flag("path") or name).strip("/"), values))
    except ServerFault as fault:
        raise fault.under("Error authenticating") from None
    return _keep(call, secret)


def _values(call: Call, method: str) -> dict[str, Any]:
    """Return the K=V arguments; a single word without = is the token, - reads it."""
    words, found = call.words, {}
    if method == "token" and words and ("=" not in words[0] or words[0].startswith(("hvs.", "s."))):
        found, words = {"token": read_stdin(call).strip() if words[0] == "-" else words[0]}, words[1:]
    try:
        return parse_values(call, words) | found
    except Fault as fault:
        raise Fault(fault.text.replace("Failed to parse K=V data", "Error parsing configuration")) from None


def _unwrapped(call: Call, secret: Secret) -> Secret:
    """Open a wrapped login: what is kept has to be the token itself."""
    if not secret.wrap_info or call.flag("no-store"):
        return secret
    token = str(secret.wrap_info.get("token"))
    client = Client(replace(call.settings, token=token, wrap_ttl=""), call.brand.program)
    return client.write("sys/wrapping/unwrap") or secret


def _keep(call: Call, secret: Secret) -> int:
    token = str((secret.auth or {}).get("client_token", ""))
    only = call.flag("token-only")
    store = token and not call.flag("no-store") and not only
    if store:
        call.tokens.save(token)
        if call.environment.has("TOKEN"):
            call.note(_shadowed(call.brand.variable))
    if only:
        return call.print_field(token)
    if call.flag("no-print"):
        return 0
    if not store:
        call.note(_not_stored(call.brand.variable))
    if call.plain and not call.flag("field"):
        call.say(_welcome(call.brand.program, call.brand.product))
    return call.secret(secret)


def _unknown(program: str, method: str) -> str:
    return paragraphs.wrap(
        f'Unknown auth method: {method}. Use "{program} auth list" to see the complete list of auth methods. '
        "Additionally, some auth methods are only available via the HTTP API."
    )


def _shadowed(prefix: str) -> str:
    return (
        f"WARNING! The {prefix}_TOKEN environment variable is set! The value of this variable\n"
        f"will take precedence; if this is unwanted please unset {prefix}_TOKEN or update its\n"
        "value accordingly.\n"
    )


def _not_stored(prefix: str) -> str:
    return (
        f"The token was not stored in token helper. Set the {prefix}_TOKEN environment\n"
        "variable or pass the token below with each request to Vault.\n"
    )


def _welcome(program: str, product: str) -> str:
    return (
        "Success! You are now authenticated. The token information displayed below is\n"
        f'already stored in the token helper. You do NOT need to run "{program} login" again.\n'
        f"Future {product} requests will automatically use this token.\n"
    )


COMMANDS = {
    "login": Command(
        login,
        "[flags] [TOKEN or K=V ...]",
        "Obtains a token and keeps it in ~/.vault-token for the next commands. `auth help METHOD` says what it needs.",
        "PROGRAM login -method=userpass username=alice",
        (0, None),
        (
            Flag("method", "token (default), userpass, approle, cert, kubernetes or ldap"),
            Flag("path", "where the method is mounted; its own name if left out"),
            Flag("no-store", "do not keep the token", Kind.SWITCH),
            Flag("no-print", "do not show the token", Kind.SWITCH),
            Flag("token-only", "print the token alone and do not keep it", Kind.SWITCH),
        ),
        field=True,
    ),
}
