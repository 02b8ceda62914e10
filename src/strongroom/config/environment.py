"""What the S3 box reads from its environment: env file, secrets in files, switches, root credentials (sse.md 9).

All `MINIO_KMS_*` variables are in config/kms_environment.py.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from strongroom.crypto.secret import Secret
from strongroom.errors import BadSettings

Environment = Mapping[str, str]
DOCKER_SECRETS = Path("/run/secrets")
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True", "on", "ON", "On", "enabled", "ENABLED", "Enabled"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False", "off", "OFF", "Off", "disabled", "DISABLED", "Disabled"})


def switch(environment: Environment, name: str, default: bool) -> bool:
    """Return a switch's state; raise BadSettings on a value that is none, where the original silently takes off."""
    value = environment.get(name, "").strip()
    if not value:
        return default
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    raise BadSettings(f"{name}: {value!r} is neither on nor off")


def with_file(environment: Environment) -> dict[str, str]:
    """Return the environment with the lines of MINIO_CONFIG_ENV_FILE over it. A file that is not there counts as empty.

    Raises BadSettings on a line that is no assignment.
    """
    merged = dict(environment)
    path = environment.get("MINIO_CONFIG_ENV_FILE", "")
    if not path:
        return merged
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        return merged
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"MINIO_CONFIG_ENV_FILE: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        merged.update(_assignment(line, f"{path}:{number}"))
    return merged


def _assignment(line: str, where: str) -> dict[str, str]:
    line = line.strip().removeprefix("export ").strip()
    if not line or line.startswith("#"):
        return {}
    name, equals, value = line.partition("=")
    if not equals or not name.strip():
        raise BadSettings(f"{where}: not an assignment")
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return {name.strip(): value}


def read_secret(path: str) -> str | None:
    """Return the text of a secret file: a Docker secret of that name, else the path; None if there is neither."""
    places = [DOCKER_SECRETS / path, Path(path)] if "/" not in path else [Path(path)]
    for place in places:
        try:
            return place.read_text()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
            raise BadSettings(f"read {place}: {reason}") from error
    return None


@dataclass(frozen=True, slots=True)
class RootCredentials:
    """Who root is. access is "" when both are to be derived from the default key (MINIO_API_ROOT_ACCESS=off).

    old       they came by MINIO_ACCESS_KEY and MINIO_SECRET_KEY: the first guide's time
    warnings  lines for the operator
    """

    access: str
    secret: Secret
    old: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def derived(self) -> bool:
        """Say whether the key service makes them."""
        return not self.access


_HINT = (
    "      HINT:\n        Root user name (access key) and root password (secret key) are expected to be specified via "
    "environment variables MINIO_ROOT_USER and MINIO_ROOT_PASSWORD respectively"
)
_TOO_SHORT = (
    "Unable to validate credentials inherited from the shell environment: Invalid credentials\n"
    "      > Please provide correct credentials\n      HINT:\n        MINIO_ROOT_USER length should be at least 3, and "
    "MINIO_ROOT_PASSWORD length at least 8 characters"
)
_DEPRECATED = (
    "WARNING: MINIO_ACCESS_KEY and MINIO_SECRET_KEY are deprecated.\n"
    "         Please use MINIO_ROOT_USER and MINIO_ROOT_PASSWORD"
)
_DEFAULTS = (
    "Detected default credentials 'minioadmin:minioadmin', we recommend that you change these values with "
    "'MINIO_ROOT_USER' and 'MINIO_ROOT_PASSWORD' environment variables"
)


def root_credentials(environment: Environment) -> RootCredentials:
    """Return root's credentials: the new variables or their files, else the old ones, else the well-known default."""
    old_warning = (_DEPRECATED,) if {"MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"} & set(environment) else ()
    user, password = _value(environment, "MINIO_ROOT_USER"), _value(environment, "MINIO_ROOT_PASSWORD")
    if user or password:
        _both(user, password, "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")
        return _checked(user, password, False, old_warning)
    user, password = _value(environment, "MINIO_ACCESS_KEY"), _value(environment, "MINIO_SECRET_KEY")
    if user or password:
        _both(user, password, "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")
        return _checked(user, password, True, (_DEPRECATED,))
    if not switch(environment, "MINIO_API_ROOT_ACCESS", True):
        return RootCredentials("", Secret(b""))
    return RootCredentials("minioadmin", Secret(b"minioadmin"), warnings=(_DEFAULTS,))


def _value(environment: Environment, name: str) -> str:
    path = environment.get(name + "_FILE", "")
    text = read_secret(path) if path else None
    return text.strip() if text is not None else environment.get(name, "")


def _both(user: str, password: str, user_name: str, password_name: str) -> None:
    if user and password:
        return
    missing = password_name if user else user_name
    detail = f'Environment variable "{missing}" is missing'
    if user_name == "MINIO_ACCESS_KEY":
        detail = f'Environment variables "{password_name}" and "{user_name}" are deprecated'
    raise BadSettings(
        f'Unable to start MinIO: Missing credential environment variable, "{missing}"\n      > {detail}\n{_HINT}'
    )


def _checked(user: str, password: str, old: bool, warnings: tuple[str, ...]) -> RootCredentials:
    if len(user) < 3 or len(password) < 8:
        raise BadSettings(_TOO_SHORT)
    return RootCredentials(user, Secret(password.encode()), old, warnings)


def process_environment() -> dict[str, str]:
    """Return this process's environment, with its env file applied."""
    return with_file(os.environ)
