"""The server's settings as `mc admin config get` shows them. They come from its environment and are changed there."""

from collections.abc import Mapping

from strongroom.messages import Response
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.admin.desk import Errand
from strongroom.s3.wire.admin import refused

SUBSYSTEMS: dict[str, dict[str, str]] = {  # name → key → variable
    "api": {
        "domain": "MINIO_DOMAIN",
        "sigv2": "STRONGROOM_SIGV2",
        "trusted_proxies": "STRONGROOM_TRUSTED_PROXIES",
        "workers": "STRONGROOM_S3_WORKERS",
    },
    "audit_file": {"target": "STRONGROOM_S3_AUDIT"},
    "kms": {
        "auto_encryption": "MINIO_KMS_AUTO_ENCRYPTION",
        "bucket_keys": "MINIO_KMS_BUCKET_KEYS",
        "cut_running_reads": "STRONGROOM_CUT_RUNNING_READS",
        "endpoint": "MINIO_KMS_KES_ENDPOINT",
        "key_name": "MINIO_KMS_KES_KEY_NAME",
        "lock_within_seconds": "STRONGROOM_LOCK_WITHIN_SECONDS",
    },
    "lifecycle": {"day_seconds": "STRONGROOM_LIFECYCLE_DAY_SECONDS"},
    "site": {"region": "MINIO_SITE_REGION"},
}
WEBHOOK, WEBHOOK_VARIABLE = "notify_webhook", "MINIO_NOTIFY_WEBHOOK_ENDPOINT_"


def lines(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Return name → lines `name key="value" …` of all settings; secrets are not among them."""
    found = {}
    for name, keys in SUBSYSTEMS.items():
        pairs = " ".join(f"{key}={_quoted(environment.get(variable, ''))}" for key, variable in keys.items())
        found[name] = [f"{name} {pairs}"]
    found[WEBHOOK] = [
        f"{WEBHOOK}:{variable.removeprefix(WEBHOOK_VARIABLE).lower()} endpoint={_quoted(value)}"
        for variable, value in sorted(environment.items())
        if variable.startswith(WEBHOOK_VARIABLE)
    ] or [f"{WEBHOOK} endpoint="]
    return found


def _quoted(value: str) -> str:
    return f'"{value}"' if any(c.isspace() for c in value) else value


async def get(errand: Errand) -> Response:
    """Return one subsystem's lines, in a container."""
    name = errand.query.get("key", "").partition(":")[0].strip()
    found = errand.desk.configuration
    if name and name not in found:
        text = f"There is no configuration {name!r}; there are {', '.join(sorted(found))}."
        raise refused("XMinioAdminInvalidArgument", text)
    chosen = found[name] if name else [line for one in found.values() for line in one]
    return await errand.sealed("\n".join(chosen).encode())


async def export(errand: Errand) -> Response:
    """Return all lines, in a container."""
    return await errand.sealed("\n".join(line for one in errand.desk.configuration.values() for line in one).encode())


async def change(errand: Errand) -> Response:
    """Refuse: what is set in two places is known in none."""
    text = "The settings of this server come from its environment: change its variables there and restart it."
    raise Refused("NotImplemented", text)
