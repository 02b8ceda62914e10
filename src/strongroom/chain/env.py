"""Shell exports that make ordinary clients use a chain: what `strongroom env DIR` prints."""

import shlex
import ssl
import urllib.parse
from pathlib import Path

from strongroom.chain import settings
from strongroom.chain.folder import Chain, Folder, write_file
from strongroom.errors import BadSettings

REGION = "us-east-1"


def values(folder: Folder, admin: bool) -> dict[str, str]:
    """Return variable → value; with admin also the kes admin identity and the kms operator's token."""
    chain = folder.load()
    if chain is None:
        raise BadSettings(f"{folder.path} is not a chain's folder; `strongroom up {folder.path}` makes one")
    ca = str(settings.authority_pair(folder).certificate)
    bundle = str(write_bundle(folder))
    kms = chain.address("kms").url()
    found = {
        **_s3(folder, chain),
        "KES_SERVER": chain.address("kes").url(),
        "VAULT_ADDR": kms,
        "BAO_ADDR": kms,
        "KES_CA": ca,
        "VAULT_CACERT": ca,
        "BAO_CACERT": ca,
        "SSL_CERT_FILE": bundle,
        "AWS_CA_BUNDLE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
    }
    if admin:
        found |= _admin(folder)
    return found


def _s3(folder: Folder, chain: Chain) -> dict[str, str]:
    password = _secret(folder, "root-password")
    url = chain.s3_url()
    scheme, _, rest = url.partition("://")
    user, secret = (urllib.parse.quote(text, safe="") for text in (chain.root_user, password))
    return {
        "AWS_ACCESS_KEY_ID": chain.root_user,
        "AWS_SECRET_ACCESS_KEY": password,
        "AWS_ENDPOINT_URL": url,
        "S3_ENDPOINT_URL": url,  # s5cmd's own name for it
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "MC_HOST_local": f"{scheme}://{user}:{secret}@{rest}",
    }


def _admin(folder: Folder) -> dict[str, str]:
    pair = settings.client_pair(folder, "admin")
    token = _secret(folder, "operator-token")
    return {
        "KES_CLIENT_KEY": str(pair.key),
        "KES_CLIENT_CERT": str(pair.certificate),
        "VAULT_TOKEN": token,
        "BAO_TOKEN": token,
    }


def _secret(folder: Folder, name: str) -> str:
    try:
        return folder.secret(name).read_text().strip()
    except FileNotFoundError as error:
        raise BadSettings(f"{folder.secret(name)} is missing: `strongroom up {folder.path}` was never ready") from error


def write_bundle(folder: Folder) -> Path:
    """Write one PEM bundle: the system's roots (certifi's where the system has none) and the chain's authority."""
    roots = ssl.get_default_verify_paths().openssl_cafile
    source = Path(roots) if roots and Path(roots).exists() else None
    if source is None:
        import certifi

        source = Path(certifi.where())
    content = source.read_bytes().rstrip() + b"\n" + settings.authority_pair(folder).certificate.read_bytes()
    bundle = folder / "certs/bundle.crt"
    if not bundle.exists() or bundle.read_bytes() != content:
        write_file(bundle, content, mode=0o644)
    return bundle


def shell(found: dict[str, str]) -> str:
    """Return export lines for a POSIX shell, each value quoted."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.items())
