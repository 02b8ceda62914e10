"""`kes init`: writes a commented configuration for one cluster of object servers."""

import os
import sys

from strongroom.cli.kes.flags import Command, Failed, Flag, Parsed

_TEXT = """\
# A key server for one cluster of object servers. `kes server --config THIS --check` tries everything named here.
version: v1
address: {address}

admin:
  identity: disabled            # nobody may do everything; policies below say who may do what

tls:
  key: {key}                    # private key and certificate of this server
  cert: {cert}

policy:
  {policy}:
    allow:
    - /v1/key/create/{keys}     # a `*` at the end matches any rest
    - /v1/key/generate/{keys}
    - /v1/key/decrypt/{keys}
    - /v1/key/describe/{keys}
    - /v1/key/list/*
    - /v1/status
    - /v1/metrics
    identities:
    - {identity}                # `kes identity of CERTIFICATE` prints it

api:
  /v1/ready: {{ skip_auth: true }}   # probes without a certificate; the handshake then demands none

cache:
  expiry:
    any: 5m                     # every key is fetched again after this
    unused: 30s                 # unused keys leave earlier
    offline: 0s                 # how long cached keys serve while the key store is away

log: {{ error: on, audit: on }}
audit:
  file: {audit}                 # one chained line for every use of a key; `kes audit verify FILE`
  rotate: 100MB
  keep: 20

keystore:
{store}
"""
_STORES = {
    "fs": "  fs:\n    path: {path}              # keys in files: for trying out",
    "vault": """\
  vault:
    endpoint: {endpoint}
    version: v2                 # KV engine v1 or v2
    engine: kv
    prefix: {policy}
    approle: {{ id: "${{KES_ROLE_ID}}", secret: "${{KES_SECRET_ID}}" }}   # from the environment
    status: {{ ping: 10s }}""",
}


def init(parsed: Parsed) -> int:
    """Write the file, or print it."""
    parsed.at_most(1)
    if parsed["store"] not in _STORES:
        raise parsed.usage(f"unknown store '{parsed['store']}'; known: {', '.join(_STORES)}")
    values = {name: parsed[name] for name in ("address", "key", "cert", "policy", "keys", "identity", "audit")}
    store = _STORES[parsed["store"]].format(path=parsed["path"], endpoint=parsed["endpoint"], policy=parsed["policy"])
    text = _TEXT.format(**values, store=store)
    if not parsed.words:
        sys.stdout.write(text)
        return 0
    flags = os.O_CREAT | os.O_WRONLY | (os.O_TRUNC if parsed.on("force") else os.O_EXCL)
    try:
        with open(os.open(parsed.words[0], flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Failed(f"{parsed.words[0]} already exists. Use --force to overwrite it") from None
    except OSError as error:
        raise Failed(f"open {parsed.words[0]}: {(error.strerror or str(error)).lower()}") from error
    return 0


INIT = Command(
    "[FILE]",
    "Write a commented configuration file.",
    (
        Flag("address", default="0.0.0.0:7373", help="Address to listen on"),
        Flag("key", default="private.key", help="The server's private key"),
        Flag("cert", default="public.crt", help="The server's certificate"),
        Flag("policy", default="minio", help="Name of the policy"),
        Flag("keys", default="minio-*", help="The keys that the cluster uses"),
        Flag("identity", default='"${CLUSTER_IDENTITY}"', help="The cluster's identity"),
        Flag("audit", default="audit.log", help="The audit file"),
        Flag("store", default="vault", help="The key store: fs or vault"),
        Flag("path", default="keys", help="With --store fs: the folder"),
        Flag("endpoint", default="https://127.0.0.1:8200", help="With --store vault: its address"),
        Flag("force", "f", switch=True, help="Overwrite the file"),
    ),
    init,
)
