"""The members of a kes configuration file (kes.md 4.1), ours among them (docs/reference/kes.md)."""

from strongroom.config.yaml import Bool, Duration, ListOf, MapOf, Record, Schema, Text

_CREDENTIALS = ("accesskey", "secretkey", "token")
_GCP = ("client_email", "client_id", "private_key_id", "private_key")


def _texts(*names: str) -> Record:
    return Record({name: Text() for name in names})


VAULT = Record(
    {
        **{name: Text() for name in ("endpoint", "engine", "version", "namespace", "prefix")},
        "transit": _texts("engine", "key"),
        "approle": Record(
            {name: Text() for name in ("engine", "namespace", "id", "secret")}, quiet=frozenset({"retry"})
        ),
        "kubernetes": Record(
            {name: Text() for name in ("engine", "namespace", "role", "jwt")}, quiet=frozenset({"retry"})
        ),
        "tls": _texts("key", "cert", "ca"),
        "status": Record({"ping": Duration()}),
    }
)

STORES: dict[str, Schema] = {
    "fs": _texts("path"),
    "vault": VAULT,
    "kes": Record({"endpoint": ListOf(Text()), "enclave": Text(), "tls": _texts("key", "cert", "ca")}),
    "fortanix": Record(
        {"sdkms": Record({"endpoint": Text(), "group_id": Text(), "credentials": _texts("key"), "tls": _texts("ca")})}
    ),
    "gemalto": Record(
        {
            "keysecure": Record(
                {
                    "endpoint": Text(),
                    "credentials": Record({"token": Text(), "domain": Text()}, quiet=frozenset({"retry"})),
                    "tls": _texts("ca"),
                }
            )
        }
    ),
    "gcp": Record(
        {
            "secretmanager": Record(
                {"project_id": Text(), "endpoint": Text(), "scopes": ListOf(Text()), "credentials": _texts(*_GCP)}
            )
        }
    ),
    "aws": Record(
        {
            "secretsmanager": Record(
                {"endpoint": Text(), "region": Text(), "kmskey": Text(), "credentials": _texts(*_CREDENTIALS)}
            )
        }
    ),
    "azure": Record(
        {
            "keyvault": Record(
                {
                    "endpoint": Text(),
                    "credentials": _texts("tenant_id", "client_id", "client_secret"),
                    "managed_identity": _texts("client_id"),
                }
            )
        }
    ),
    "entrust": Record(
        {
            "keycontrol": Record(
                {
                    "endpoint": Text(),
                    "vault_id": Text(),
                    "box_id": Text(),
                    "credentials": _texts("username", "password"),
                    "tls": _texts("ca"),
                }
            )
        }
    ),
}

_TLS = Record(
    {
        **{name: Text() for name in ("key", "cert", "password", "auth", "ca")},
        "proxy": Record({"identities": ListOf(Text()), "header": Record({"cert": Text()})}),
    }
)
_RULES = Record({"allow": ListOf(Text(plain=True)), "deny": ListOf(Text(plain=True)), "identities": ListOf(Text())})
_EXPIRY = Record({name: Duration() for name in ("any", "unused", "offline")})
_COMMON: dict[str, Schema] = {
    "address": Text(),
    "tls": _TLS,
    "api": MapOf(Record({"skip_auth": Bool(), "timeout": Duration()})),
    "log": Record({"error": Text(), "audit": Text()}),
    "audit": Record(
        {
            **{name: Text() for name in ("file", "key", "rotate", "keep", "when_full")},
            "context": Bool(),
        }
    ),
    "lock": Record({"within": Duration(), "strict": Bool()}),
}

CURRENT = Record(
    {
        **_COMMON,
        "admin": Record({"identity": Text()}),
        "policy": MapOf(_RULES),
        "cache": Record({"expiry": _EXPIRY}),
        "keys": ListOf(Record({"name": Text()})),
        "keystore": Record(STORES),
    },
    go="kesconf.ymlFile",
    quiet=frozenset({"version"}),
)

# Old files (kes.md 4.4): `root`, policies with `paths`, `keys` holding the store, names of 2019.
_OLD_VAULT = Record(
    {**VAULT.members, "address": Text(), "name": Text()},
)
_OLD_AWS = Record(
    {
        "endpoint": Text(),
        "address": Text(),
        "region": Text(),
        "kmskey": Text(),
        "kms_key_id": Text(),
        "credentials": _texts(*_CREDENTIALS, "access_key", "secret_key", "session_token"),
    }
)
_OLD_STORES: dict[str, Schema] = {
    **STORES,
    "vault": _OLD_VAULT,
    "aws": Record({"secretsmanager": _OLD_AWS, "secrets_manager": _OLD_AWS}),
    "generic": Record({"endpoint": Text(), "tls": _texts("key", "cert", "ca")}),
}
_OLD: dict[str, Schema] = {
    **_COMMON,
    "root": Text(),
    "admin": Record({"identity": Text()}),
    "policy": MapOf(Record({**_RULES.members, "paths": ListOf(Text(plain=True))})),
    "cache": Record({"expiry": Record({**_EXPIRY.members, "all": Duration()})}),
    "log": Record({"error": Text(), "audit": Text()}),
    "keystore": Record(_OLD_STORES),
}
OLD_KEYS_ARE_STORE = Record({**_OLD, "keys": Record(_OLD_STORES)}, quiet=frozenset({"version"}))
OLD_KEYS_ARE_LIST = Record({**_OLD, "keys": ListOf(Record({"name": Text()}))}, quiet=frozenset({"version"}))
