"""The configuration files that a chain's boxes are started with: written at every start, from the folder alone."""

import json
from collections.abc import Mapping

from strongroom.chain.certificates import Pair
from strongroom.chain.first import DEFAULT_KEY, LEASE, MOUNT, PREFIX
from strongroom.chain.folder import Chain, Folder, write_file

KES_YAML = """\
# Written by `strongroom up` at every start.
version: v1
address: {address}
admin:
  identity: {admin}
tls:
  key: {key}
  cert: {certificate}
policy:
  s3:
    allow:
    - /v1/key/create/*
    - /v1/key/generate/*
    - /v1/key/decrypt/*
    - /v1/key/describe/*
    - /v1/key/list/*
    - /v1/lifecycle/*
    - /v1/status
    - /v1/metrics
    - /v1/api
    - /version
    identities:
    - {s3}
audit:
  file: {audit}
  key: {audit_key}
  context: on
cache:
  expiry:
    any: 5m0s
    unused: 20s
    offline: 0s
keystore:
  vault:
    endpoint: {kms}
    engine: {mount}
    version: v1
    prefix: {prefix}
    approle:
      id: {role}
      secret: {secret}
      retry: 2s
    tls:
      ca: {ca}
    status:
      ping: 10s
"""


def server_pair(folder: Folder, box: str) -> Pair:
    """Return where a box's server certificate and key lie (the S3 box reads a folder of fixed names)."""
    if box == "s3":
        return Pair(folder / "certs/s3/public.crt", folder / "certs/s3/private.key")
    return Pair(folder / f"certs/{box}.crt", folder.secret(f"{box}.key"))


def client_pair(folder: Folder, name: str) -> Pair:
    """Return where a kes identity ("admin" or "s3") lies."""
    return Pair(folder / f"certs/{name}-client.crt", folder.secret(f"{name}-client.key"))


def authority_pair(folder: Folder) -> Pair:
    """Return where the chain's certificate authority lies."""
    return Pair(folder / "certs/ca.crt", folder.secret("ca.key"))


def write_kms(folder: Folder, chain: Chain) -> None:
    """Write kms/config.json."""
    pair = server_pair(folder, "kms")
    address = chain.address("kms")
    config = {
        "api_addr": address.url(),
        "storage": {"sqlite": {"path": str(folder / "kms")}},
        "default_lease_ttl": "168h",
        "max_lease_ttl": LEASE,
        "listener": {
            "tcp": {
                "address": str(address),
                "tls_cert_file": str(pair.certificate),
                "tls_key_file": str(pair.key),
                "tls_min_version": "tls12",
            }
        },
    }
    write_file(folder / "kms/config.json", (json.dumps(config, indent=2) + "\n").encode())


def write_kes(folder: Folder, chain: Chain, identities: Mapping[str, str]) -> None:
    """Write kes/config.yaml; identities: "admin" and "s3"."""
    pair = server_pair(folder, "kes")
    role = json.loads(folder.secret("approle").read_bytes())
    text = KES_YAML.format(
        address=json.dumps(str(chain.address("kes"))),
        key=json.dumps(str(pair.key)),
        certificate=json.dumps(str(pair.certificate)),
        kms=json.dumps(chain.address("kms").url()),
        audit=json.dumps(str(folder / "kes/audit.log")),
        audit_key=json.dumps(str(folder.secret("audit.key"))),
        ca=json.dumps(str(authority_pair(folder).certificate)),
        mount=MOUNT,
        prefix=PREFIX,
        role=json.dumps(role["id"]),
        secret=json.dumps(role["secret"]),
        **identities,
    )
    write_file(folder / "kes/config.yaml", text.encode())


def s3_environment(folder: Folder, chain: Chain) -> dict[str, str]:
    """Return the environment that the S3 box is started with: no secret, only where secrets lie."""
    pair = client_pair(folder, "s3")
    return {
        "MINIO_ROOT_USER": chain.root_user,
        "MINIO_ROOT_PASSWORD_FILE": str(folder.secret("root-password")),
        "MINIO_KMS_KES_ENDPOINT": chain.address("kes").url(),
        "MINIO_KMS_KES_KEY_FILE": str(pair.key),
        "MINIO_KMS_KES_CERT_FILE": str(pair.certificate),
        "MINIO_KMS_KES_CAPATH": str(authority_pair(folder).certificate),
        "MINIO_KMS_KES_KEY_NAME": DEFAULT_KEY,
        "MINIO_KMS_AUTO_ENCRYPTION": "on",
        "MINIO_KMS_AUTO_ENCRYPTION_TYPE": "sse-s3",
    }


def command(folder: Folder, chain: Chain, box: str) -> list[str]:
    """Return a box's command line, without the program."""
    if box == "kms":
        return ["kms", "server", "-config", str(folder / "kms/config.json")]
    if box == "kes":
        return ["kes", "server", "--config", str(folder / "kes/config.yaml")]
    certs = ["--certs-dir", str(folder / ("certs/s3" if chain.s3_tls else "certs/none"))]
    return ["s3", "server", str(folder / "s3"), "--address", str(chain.address("s3")), *certs]
