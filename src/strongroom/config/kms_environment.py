"""The key service in the S3 box's environment: every `MINIO_KMS_*` variable, today's and yesterday's (sse.md 9).

Texts of refusals are those that the original prints behind FATAL.
"""

import base64
import binascii
import itertools
import re
from dataclasses import dataclass, field

from strongroom.config.environment import Environment, read_secret, switch
from strongroom.crypto.secret import Secret
from strongroom.errors import BadSettings

_KES = "MINIO_KMS_KES_"
ENDPOINT, KEY_NAME, API_KEY = _KES + "ENDPOINT", _KES + "KEY_NAME", _KES + "API_KEY"
KEY_FILE, CERT_FILE, KEY_PASSWORD = _KES + "KEY_FILE", _KES + "CERT_FILE", _KES + "KEY_PASSWORD"
CAPATH, OLD_CAPATH = _KES + "CAPATH", _KES + "CA_PATH"
KES_VARIABLES = (ENDPOINT, KEY_NAME, API_KEY, KEY_FILE, CERT_FILE, KEY_PASSWORD, CAPATH, OLD_CAPATH)
MINIO_KMS_VARIABLES = ("MINIO_KMS_SERVER", "MINIO_KMS_ENCLAVE", "MINIO_KMS_SSE_KEY", "MINIO_KMS_API_KEY")
SECRET_KEY, SECRET_KEY_FILE = "MINIO_KMS_SECRET_KEY", "MINIO_KMS_SECRET_KEY_FILE"
MASTER_KEYS = ("MINIO_KMS_MASTER_KEY", "MINIO_SSE_MASTER_KEY")
IMAGE_DEFAULT = "kms_master_key"  # what container images set, whether or not there is such a secret

_INVALID = "Invalid KMS configuration specified: kms: "
_FAILED = "Failed to connect to KMS: "


@dataclass(frozen=True, slots=True)
class KesSettings:
    """How to reach a KES cluster. Either api_key, or key_file and cert_file."""

    endpoints: tuple[str, ...]
    key_name: str
    api_key: str = field(default="", repr=False)
    key_file: str = ""
    cert_file: str = ""
    key_password: str = field(default="", repr=False)
    ca_path: str = ""


@dataclass(frozen=True, slots=True)
class StaticSettings:
    """One key in the settings themselves."""

    key_name: str
    key: Secret


@dataclass(frozen=True, slots=True)
class KmsSettings:
    """The key service, and what is encrypted without being asked. Without kes and static there is no key service.

    auto_encryption  "" (off), "aws:kms" or "AES256"
    bucket_keys      objects of a bucket may share a data key for some minutes
    """

    kes: KesSettings | None = None
    static: StaticSettings | None = None
    auto_encryption: str = ""
    bucket_keys: bool = True
    replicate_key_id: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def configured(self) -> bool:
        """Say whether there is a key service."""
        return self.kes is not None or self.static is not None


def kms_settings(environment: Environment, *, old_credentials: bool = False) -> KmsSettings:
    """Return the key service's settings. Raises BadSettings, whose message is what follows FATAL.

    old_credentials: root came by MINIO_ACCESS_KEY; auto-encryption then means SSE-S3, as in that time.
    """
    kes = any(name in environment for name in KES_VARIABLES)
    minio_kms = any(name in environment for name in MINIO_KMS_VARIABLES)
    static = _static_text(environment)
    _refuse_ambiguous(kes, minio_kms, static is not None)
    _refuse_vault(environment)
    if minio_kms:
        _refuse_minio_kms(environment)
    found = KmsSettings(
        kes=_kes(environment) if kes else None,
        static=_static(*static) if static is not None else None,
        bucket_keys=switch(environment, "MINIO_KMS_BUCKET_KEYS", True),
        replicate_key_id=switch(environment, "MINIO_KMS_REPLICATE_KEYID", True),
        warnings=tuple(_warnings(environment)),
    )
    automatic = _auto_encryption(environment, found.configured, old_credentials)
    return KmsSettings(found.kes, found.static, automatic, found.bucket_keys, found.replicate_key_id, found.warnings)


def _refuse_ambiguous(kes: bool, minio_kms: bool, static: bool) -> None:
    pairs = (
        (minio_kms and kes, "MinIO KMS and MinIO KES"),
        (minio_kms and static, "MinIO KMS and static KMS key"),
        (kes and static, "MinIO KES and static KMS key"),
    )
    for both, names in pairs:
        if both:
            raise BadSettings(f"{_INVALID}configuration for {names} is present")


def _refuse_minio_kms(environment: Environment) -> None:
    for name in MINIO_KMS_VARIABLES:
        if name not in environment:
            raise BadSettings(f"{_INVALID}incomplete configuration for MinIO KMS: missing '{name}'")
    raise BadSettings(f"{_FAILED}MinIO KMS is not supported; use a KES ({ENDPOINT}) or {SECRET_KEY}")


def _refuse_vault(environment: Environment) -> None:
    """The original ignores these today, and starts without encryption."""
    for name in environment:
        if name.startswith(("MINIO_KMS_VAULT_", "MINIO_SSE_VAULT_")) and environment[name]:
            raise BadSettings(f"{_INVALID}{name} is no longer supported: put a KES before the Vault ({ENDPOINT})")


def _warnings(environment: Environment) -> list[str]:
    found = [f"{name} is deprecated; use {SECRET_KEY}" for name in MASTER_KEYS if environment.get(name)]
    if OLD_CAPATH in environment:
        found.append(f"{OLD_CAPATH} is deprecated; use {CAPATH}")
    if _KES + "ENCLAVE" in environment:
        found.append(f"{_KES}ENCLAVE is ignored: KES has no enclaves any more")
    return found


def _auto_encryption(environment: Environment, configured: bool, old_credentials: bool) -> str:
    name = "MINIO_KMS_AUTO_ENCRYPTION"
    if not (switch(environment, name, False) or switch(environment, "MINIO_SSE_AUTO_ENCRYPTION", False)):
        return ""
    if not configured:
        raise BadSettings(f"{name} requires a valid KMS configuration: no KMS configured")
    kind = environment.get(name + "_TYPE", "").strip()
    kinds = {"": "AES256" if old_credentials else "aws:kms", "sse-kms": "aws:kms", "sse-s3": "AES256"}
    kinds |= {"aws:kms": "aws:kms", "aes256": "AES256"}
    if kind.lower() not in kinds:
        raise BadSettings(f"{name}_TYPE: {kind!r} is neither sse-s3 nor sse-kms")
    return kinds[kind.lower()]


# ---- KES
def _kes(environment: Environment) -> KesSettings:
    for name in (ENDPOINT, KEY_NAME):
        if name not in environment:
            raise BadSettings(f"{_INVALID}incomplete configuration for MinIO KES: missing '{name}'")
    api_key = environment.get(API_KEY, "")
    files = {name: environment.get(name, "") for name in (KEY_FILE, CERT_FILE)}
    if API_KEY in environment and any(name in environment for name in (KEY_FILE, CERT_FILE, KEY_PASSWORD)):
        raise BadSettings(
            f"{_INVALID}invalid configuration for MinIO KES: '{API_KEY}' and client certificate is present"
        )
    if API_KEY not in environment:
        _require_files(environment)
    elif not api_key:
        raise BadSettings(f"{_FAILED}{API_KEY} is empty")
    else:
        _check_api_key(api_key)
    key_name = environment[KEY_NAME]
    if not re.fullmatch(r"(?!-)(?!_$)[0-9A-Za-z_-]{1,80}(?<!-)", key_name):
        raise BadSettings(f"{_FAILED}key name '{key_name}' is empty, too long or contains invalid characters")
    ca_path = environment.get(CAPATH) or environment.get(OLD_CAPATH, "")
    password = environment.get(KEY_PASSWORD, "")
    return KesSettings(
        endpoints(environment[ENDPOINT]), key_name, api_key, files[KEY_FILE], files[CERT_FILE], password, ca_path
    )


def _require_files(environment: Environment) -> None:
    missing = [name for name in (KEY_FILE, CERT_FILE) if name not in environment]
    if len(missing) == 2:
        raise BadSettings(f"{_INVALID}incomplete configuration for MinIO KES: missing authentication method")
    if missing:
        raise BadSettings(f"{_INVALID}incomplete configuration for MinIO KES: missing '{missing[0]}'")
    for name, what in ((KEY_FILE, "private key"), (CERT_FILE, "certificate")):
        if not environment[name]:
            raise BadSettings(f"{_FAILED}Unable to load KES client {what}: {name} is empty")


def _check_api_key(text: str) -> None:
    """Refuse what is no API key without repeating any of it."""
    try:
        value = base64.b64decode(text.removeprefix("kes:v1:"), validate=True)
    except (ValueError, binascii.Error):
        value = b""
    if not text.startswith("kes:v1:") or len(value) != 33 or value[0] != 0:
        raise BadSettings(f"{_FAILED}{API_KEY} is not an API key (kes:v1:...)")


_RANGE = re.compile(r"\{([0-9a-fA-F]+)\.\.\.([0-9a-fA-F]+)\}")
MAX_ENDPOINTS = 1024


def endpoints(text: str) -> tuple[str, ...]:
    """Return the URLs of a comma-separated list whose entries may hold ranges, `https://kes{1...4}:7373`."""
    if not text:
        raise BadSettings(f"{_FAILED}kms: no KES server endpoint provided")
    found = [url for part in text.split(",") if part.strip() for url in _expand(part.strip())]
    if not found:
        raise BadSettings(f"{_FAILED}kes: no server endpoint")
    for url in found:
        if url.startswith("http://"):
            raise BadSettings(f"{_FAILED}kms: invalid endpoint '{url}': a KES speaks https only")
    return tuple(found)


def _expand(text: str) -> list[str]:
    pieces = _RANGE.split(text)  # text, from, to, text, from, to, …, text
    choices = [_numbers(text, pieces[at], pieces[at + 1]) for at in range(1, len(pieces), 3)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MAX_ENDPOINTS:
        raise BadSettings(f"{_FAILED}kms: invalid endpoint '{text}': more than {MAX_ENDPOINTS} endpoints")
    return [
        pieces[0] + "".join(number + pieces[3 * index + 3] for index, number in enumerate(chosen))
        for chosen in itertools.product(*choices)
    ]


def _numbers(text: str, first: str, last: str) -> list[str]:
    """Return a range's numbers, decimal if both ends are, else hexadecimal; zero padding is kept."""
    base = 10 if first.isdecimal() and last.isdecimal() else 16
    start, stop = int(first, base), int(last, base)
    if start > stop:
        detail = f"Incorrect range start {first} cannot be bigger than end {last}"
        raise BadSettings(f"{_FAILED}kms: invalid endpoint '{text}': {detail}")
    if stop - start >= MAX_ENDPOINTS:
        raise BadSettings(f"{_FAILED}kms: invalid endpoint '{text}': more than {MAX_ENDPOINTS} endpoints")
    width = len(first) if first.startswith("0") else 0
    return [f"{number:0{width}{'d' if base == 10 else 'x'}}" for number in range(start, stop + 1)]


# ---- a key in the settings
def _static_text(environment: Environment) -> tuple[str, str] | None:
    """Return the static key's text and the variable it came by; None when there is none."""
    text, path = environment.get(SECRET_KEY, ""), environment.get(SECRET_KEY_FILE, "")
    from_file = _from_file(path, optional=bool(text) or path == IMAGE_DEFAULT) if path else None
    if text and from_file is not None:
        detail = f"'{SECRET_KEY}' and '{SECRET_KEY_FILE}' are present"
        raise BadSettings(f"{_INVALID}invalid configuration for static KMS key: {detail}")
    if text or from_file is not None:
        return (text, SECRET_KEY) if text else (from_file or "", SECRET_KEY_FILE)
    for name in MASTER_KEYS:
        if environment.get(name):
            return environment[name], name
        path = environment.get(name + "_FILE", "")
        if path and (found := _from_file(path, optional=path == IMAGE_DEFAULT)) is not None:
            return found, name
    return None


def _from_file(path: str, *, optional: bool) -> str | None:
    """Return a key file's text. The original takes a file that is missing for "no encryption"; we refuse to start."""
    try:
        text = read_secret(path)
    except BadSettings as error:
        raise BadSettings(f"{_FAILED}{error}") from error
    if text is None and not optional:
        raise BadSettings(f"{_FAILED}open {path}: no such file")
    return text


def _static(text: str, variable: str) -> StaticSettings:
    hexadecimal = variable in MASTER_KEYS
    if hexadecimal:
        text = text.strip()
    name, colon, encoded = text.partition(":")
    if not colon:
        raise BadSettings(f"{_FAILED}kms: invalid secret key format")
    if not name:
        raise BadSettings(f"{_FAILED}{variable}: the key's name is empty")
    key = _from_hex(encoded) if hexadecimal else _from_base64(encoded)
    if len(key) != 32:
        raise BadSettings(f"{_FAILED}kms: invalid key length {len(key)}")
    return StaticSettings(name, Secret(key))


def _from_hex(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]*", text) or len(text) % 2:
        raise BadSettings(f"{_FAILED}kms: the master key is not hexadecimal")
    return bytes.fromhex(text)


def _from_base64(text: str) -> bytes:
    kept = text.replace("\r", "").replace("\n", "")
    wrong = re.search(r"[^A-Za-z0-9+/=]|=(?!=?$)", kept)
    try:
        return base64.b64decode(kept, validate=True)
    except (ValueError, binascii.Error) as error:
        place = wrong.start() if wrong else len(kept) // 4 * 4
        raise BadSettings(f"{_FAILED}illegal base64 data at input byte {place}") from error
