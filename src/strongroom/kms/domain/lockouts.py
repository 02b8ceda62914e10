"""When failed logins lock an alias: of the configuration, over it what a mount was tuned to (vault.md 4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from strongroom.kms.domain.records import LockoutConfig

TYPES = ("approle", "userpass")  # auth methods whose logins are counted


@dataclass(frozen=True, slots=True)
class LockoutRule:
    """threshold failures lock an alias for duration seconds; they are forgotten reset seconds after the last one."""

    threshold: int = 5
    duration: int = 15 * 60
    reset: int = 15 * 60
    disabled: bool = False


DEFAULT = LockoutRule()


def rule_for(rules: Mapping[str, LockoutRule], kind: str, tuned: LockoutConfig | None) -> LockoutRule:
    """Return the rule for a mount of an auth method; rules: by auth method, `all` for those not named."""
    rule = rules.get(kind) or rules.get("all") or DEFAULT
    if tuned is None:
        return rule
    return LockoutRule(
        tuned.threshold or rule.threshold, tuned.duration or rule.duration, tuned.reset or rule.reset, tuned.disable
    )
