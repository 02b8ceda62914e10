"""A request shown instead of sent: as a curl command, or as the policy it needs."""

from urllib.parse import parse_qs, unquote, urlsplit

from strongroom.cli.kms.settings import Settings

_CAPABILITIES = {
    "GET": ("read",),
    "PUT": ("create", "update"),
    "POST": ("create", "update"),
    "PATCH": ("patch",),
    "DELETE": ("delete",),
}
# Routes that want sudo besides (vault.md 2.1); a trailing * is a prefix.
_SUDO = (
    "sys/auth", "sys/auth/*", "sys/remount", "sys/audit", "sys/audit/*", "sys/raw", "sys/raw/*", "sys/rotate",
    "sys/rotate/keyring", "sys/rotate/root", "sys/config/cors", "sys/config/auditing/*", "sys/config/ui/headers/*",
    "sys/plugins/catalog/*", "sys/revoke-prefix/*", "sys/revoke-force/*", "sys/leases", "sys/leases/lookup/*",
    "sys/leases/revoke-prefix/*", "sys/leases/revoke-force/*", "sys/internal/inspect/*", "auth/token/revoke-orphan",
    "auth/token/accessors", "sys/step-down",
)  # fmt: skip


def preview(
    settings: Settings, program: str, method: str, url: str, headers: list[tuple[str, str]], data: bytes
) -> str:
    """Return the text that stands for the request, ending in a newline. The token itself is never part of it."""
    if settings.show == "policy":
        return _policy(method, url)
    return _curl(settings, program, method, url, headers, data)


def _curl(settings: Settings, program: str, method: str, url: str, headers: list[tuple[str, str]], data: bytes) -> str:
    words = ["curl"]
    if settings.skip_verify:
        words.append("--insecure")
    if method != "GET":
        words.append(f"-X {method}")
    for option, value in (("cacert", settings.ca_cert), ("cert", settings.client_cert), ("key", settings.client_key)):
        if value:
            words.append(f"--{option} {_single(value)}")
    for name, value in headers:
        shown = f"$({program} print token)" if name == "X-Vault-Token" else _double(value)
        words.append(f'-H "{_double(name.title() if name.islower() else name)}: {shown}"')
    if data:
        words.append(f"-d {_single(data.decode())}")
    return " ".join([*words, f'"{_double(url)}"']) + "\n"


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def _double(text: str) -> str:
    for mark in '\\"$`':
        text = text.replace(mark, "\\" + mark)
    return text


def _policy(method: str, url: str) -> str:
    split = urlsplit(url)
    path = unquote(split.path).partition("/v1/")[2]
    query = parse_qs(split.query)
    words = next(((verb,) for verb in ("list", "scan") if verb in query), _CAPABILITIES[method])
    if any(path == rule or (rule.endswith("*") and path.startswith(rule[:-1])) for rule in _SUDO):
        words = (*words, "sudo")
    names = ", ".join(f'"{word}"' for word in words)
    return f'path "{path}" {{\n  capabilities = [{names}]\n}}\n'
