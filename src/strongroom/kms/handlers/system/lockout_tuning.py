"""The `user_lockout_config` of an auth method's tuning (vault.md 4.3); texts as OpenBao 2.7.2 was seen to give them."""

from collections.abc import Mapping
from typing import Any

from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.fields import to_bool, to_seconds
from strongroom.kms.domain.lockouts import TYPES
from strongroom.kms.domain.records import LockoutConfig, MountConfig

SPANS = {"lockout_duration": "duration", "lockout_counter_reset_duration": "reset"}


def lockout_shown(tuned: LockoutConfig) -> dict[str, Any]:
    """Return the member as answers show it."""
    return {
        "user_lockout_counter_reset_duration": tuned.reset,
        "user_lockout_disable": tuned.disable,
        "user_lockout_duration": tuned.duration,
        "user_lockout_threshold": tuned.threshold,
    }


def take_lockout(config: MountConfig, kind: str, given: Mapping[str, Any] | None) -> None:
    """Change what is given; raise Refused."""
    if not given:
        return
    if kind not in TYPES:
        raise Refused(f'tuning of user lockout configuration for auth type "{kind}" not allowed')
    tuned = config.user_lockout or LockoutConfig()
    if given.get("lockout_threshold") not in (None, ""):
        text = str(given["lockout_threshold"])
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Refused(
                f'unable to parse user lockout threshold: strconv.ParseUint: parsing "{text}": invalid syntax'
            )
        tuned.threshold = int(text)
    for name, member in SPANS.items():
        if given.get(name) not in (None, ""):
            try:
                setattr(tuned, member, int(to_seconds(given[name])))
            except ValueError as error:
                raise Refused(str(error)) from error
    if given.get("lockout_disable") is not None:
        try:
            tuned.disable = to_bool(given["lockout_disable"])
        except ValueError as error:
            raise Refused("unable to convert given user lockout config information") from error
    config.user_lockout = tuned
