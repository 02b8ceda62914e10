"""Every command by its words, the module that holds it, and the line that a list of commands shows."""

from importlib import import_module

from strongroom.cli.kms.command import Command

COMMANDS: dict[str, tuple[str, str]] = {
    "read": ("data", "Read a path: a secret, a role, a setting"),
    "write": ("data", "Write data to a path"),
    "patch": ("data", "Change some members of the data at a path"),
    "delete": ("data", "Delete what is at a path"),
    "list": ("data", "List the names below a path"),
    "scan": ("data", "List the names below a path and its folders"),
    "login": ("login", "Obtain a token and keep it for the next commands"),
    "server": ("server", "Run a server"),
    "status": ("status", "Show whether the server is sealed"),
    "unwrap": ("wrapping", "Open a wrapped answer"),
    "audit enable": ("audit", "Start an audit device"),
    "audit list": ("audit", "List the audit devices"),
    "audit disable": ("audit", "Stop an audit device"),
    "auth enable": ("auth", "Make an auth method available at a path"),
    "auth list": ("auth", "List the auth methods"),
    "auth tune": ("auth", "Change the settings of an auth method"),
    "auth move": ("auth", "Move an auth method to another path"),
    "auth disable": ("auth", "Remove an auth method and its tokens"),
    "auth help": ("auth", "Show what a login with a method needs"),
    "completion": ("completion", "Print a shell's completion script"),
    "import": ("import_command", "Copy secrets, policies and AppRoles from another server"),
    "kv put": ("kv", "Store a secret"),
    "kv get": ("kv", "Show a secret"),
    "kv list": ("kv", "List secrets"),
    "kv scan": ("kv", "List secrets, those in folders as well"),
    "kv patch": ("kv", "Change some members of a secret"),
    "kv delete": ("kv_versions", "Delete a secret, or some of its versions"),
    "kv undelete": ("kv_versions", "Bring deleted versions back"),
    "kv destroy": ("kv_versions", "Remove versions for ever"),
    "kv rollback": ("kv_versions", "Write an old version again as the newest"),
    "kv enable-versioning": ("kv_versions", "Turn a version 1 mount into version 2"),
    "kv metadata get": ("kv_metadata", "Show a secret's versions and settings"),
    "kv metadata put": ("kv_metadata", "Set a secret's settings"),
    "kv metadata patch": ("kv_metadata", "Change some of a secret's settings"),
    "kv metadata delete": ("kv_metadata", "Remove a secret with all its versions"),
    "lease lookup": ("lease", "Show a lease"),
    "lease renew": ("lease", "Prolong a lease"),
    "lease revoke": ("lease", "End a lease, or all below a prefix"),
    "operator init": ("operator_init", "Make the keys of a new server"),
    "operator unseal": ("operator_unseal", "Give one share of the unseal key"),
    "operator seal": ("operator_unseal", "Seal the server"),
    "operator rekey": ("operator_rekey", "Make new unseal or recovery keys"),
    "operator rotate-keys": ("operator_rekey", "The same through the routes that want a token"),
    "operator generate-root": ("operator_root", "Make a root token from a quorum of shares"),
    "operator key-status": ("operator_keyring", "Show the newest barrier key"),
    "operator rotate": ("operator_keyring", "Add a barrier key"),
    "operator step-down": ("operator_cluster", "Make the active server a standby"),
    "operator members": ("operator_cluster", "List the servers of a cluster"),
    "operator raft snapshot save": ("operator_snapshot", "Save a backup of the whole store to a file"),
    "operator raft snapshot restore": ("operator_snapshot", "Replace the store by a backup"),
    "path-help": ("inspect", "Show what a path is for"),
    "policy write": ("policy", "Upload a policy"),
    "policy read": ("policy", "Show a policy"),
    "policy list": ("policy", "List the policies"),
    "policy delete": ("policy", "Delete a policy"),
    "policy fmt": ("policy_format", "Put a policy file into the usual layout"),
    "print token": ("inspect", "Print the token that commands would use"),
    "secrets enable": ("secrets", "Make a secrets engine available at a path"),
    "secrets list": ("secrets", "List the secrets engines"),
    "secrets tune": ("secrets", "Change the settings of a secrets engine"),
    "secrets move": ("secrets", "Move a secrets engine to another path"),
    "secrets disable": ("secrets", "Remove a secrets engine and all its data"),
    "token create": ("token", "Make a token"),
    "token lookup": ("token", "Show a token"),
    "token renew": ("token", "Prolong a token"),
    "token revoke": ("token", "End a token and its children"),
    "token capabilities": ("token", "Show what a token may do at a path"),
    "transit import": ("transit", "Bring a key of your own into a transit engine"),
    "transit import-version": ("transit", "Bring a further version of it"),
    "version": ("inspect", "Print the version"),
    "version-history": ("inspect", "Show which versions a server has run"),
}

# Commands of the original that have no counterpart here, and what to use instead (docs/reference/kms-cli.md).
UNSUPPORTED: dict[str, str] = {
    "agent": "run the program that needs secrets with a token of its own, or use response wrapping",
    "debug": "see the server's log, `status` and the metrics at /v1/sys/metrics",
    "events": "follow the audit device instead",
    "hcp": "it belongs to a hosted product",
    "monitor": "read the server's log; its level is `log_level` in the configuration",
    "namespace": "this server has the root namespace only; separate teams by mounts and policies",
    "operator diagnose": "start the server: errors in the configuration name the line",
    "operator migrate": "back up with `operator raft snapshot save`, or copy with `strongroom kms import`",
    "operator raft autopilot": "storage is SQLite or PostgreSQL; there is no raft",
    "operator raft join": "storage is SQLite or PostgreSQL; start another server on the same database",
    "operator raft list-peers": "storage is SQLite or PostgreSQL; `operator members` lists the servers",
    "operator raft remove-peer": "storage is SQLite or PostgreSQL; there is no raft",
    "operator usage": "count clients in the audit device's lines",
    "operator validate-config": "start the server: errors in the configuration name the line",
    "pki": "use a certificate authority such as step-ca",
    "plugin": "there are no plugins; every engine is part of the server",
    "proxy": "point clients at the server itself",
    "ssh": "there is no SSH engine; use OpenSSH certificates from a certificate authority",
}


def find(words: list[str]) -> tuple[str, list[str]]:
    """Return the longest command or group that the words begin with, and the words after it.

    The name is empty when not even the first word is known.
    """
    known = {*COMMANDS, *UNSUPPORTED}
    groups = {" ".join(name.split()[:depth]) for name in known for depth in range(1, 5)}
    name, depth = "", 0
    for word in words[:4]:
        longer = f"{name} {word}".strip()
        if longer not in groups:
            break
        name, depth = longer, depth + 1
    return name, words[depth:]


def load(name: str) -> Command:
    """Import the module of a command and return the command."""
    module = import_module(f"strongroom.cli.kms.{COMMANDS[name][0]}")
    command: Command = module.COMMANDS[name]
    return command


def below(group: str) -> dict[str, str]:
    """Return the next words after a group and what each is for; a group of groups is described by its members."""
    found: dict[str, str] = {}
    lead = f"{group} " if group else ""
    for name, (_, about) in COMMANDS.items():
        if name.startswith(lead):
            word, _, rest = name[len(lead) :].partition(" ")
            if not rest:
                found[word] = about
            elif word not in found:
                found[word] = "Commands: " + ", ".join(_members(f"{lead}{word} "))
    return found


def _members(lead: str) -> list[str]:
    return list(dict.fromkeys(name[len(lead) :].split()[0] for name in COMMANDS if name.startswith(lead)))
