"""Targets of bucket notifications, from MINIO_NOTIFY_WEBHOOK_… (docs/reference/s3.md)."""

from dataclasses import dataclass, field

from strongroom.config.environment import Environment, switch
from strongroom.errors import BadSettings

_PREFIX = "MINIO_NOTIFY_WEBHOOK_"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to send events. name is part of the target's ARN; token becomes the Authorization header as it is."""

    name: str
    url: str
    token: str = field(default="", repr=False)


def webhooks(environment: Environment) -> tuple[Webhook, ...]:
    """Return the targets that MINIO_NOTIFY_WEBHOOK_ENABLE_<NAME> and its companions name; raise BadSettings."""
    found = []
    for variable in sorted(environment):
        if not variable.startswith(_PREFIX + "ENABLE") or not switch(environment, variable, False):
            continue
        suffix = variable.removeprefix(_PREFIX + "ENABLE")
        url = environment.get(f"{_PREFIX}ENDPOINT{suffix}", "")
        if not url.startswith(("http://", "https://")):
            raise BadSettings(f"{_PREFIX}ENDPOINT{suffix}: expected a URL, found {url!r}")
        token = environment.get(f"{_PREFIX}AUTH_TOKEN{suffix}", "")
        found.append(Webhook(suffix.removeprefix("_") or "_", url, token))
    return tuple(found)
