"""Lifecycle rules as values, and what they say about versions and uploads (s3.md 8.6). Times are nanoseconds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

DAY = 24 * 3600 * 1_000_000_000  # nanoseconds


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. Days 0, date 0 and sizes below 0: the rule does not have that part. Sizes in bytes."""

    name: str
    enabled: bool
    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    larger: int = -1
    smaller: int = -1
    days: int = 0
    date: int = 0
    delete_marker: bool = False
    noncurrent_days: int = 0
    newer_noncurrent: int = 0
    abort_days: int = 0

    def covers(self, key: str, tags: Mapping[str, str], size: int) -> bool:
        """Say whether an object is the rule's business."""
        if not self.enabled or not key.startswith(self.prefix):
            return False
        if self.larger >= 0 and size <= self.larger:
            return False
        if self.smaller >= 0 and size >= self.smaller:
            return False
        return all(tags.get(name) == value for name, value in self.tags.items())

    @property
    def of_uploads(self) -> bool:
        """Whether the rule can be about unfinished uploads: they have no tags and no size yet."""
        return not self.tags and self.larger < 0 and self.smaller < 0


@dataclass(frozen=True, slots=True)
class State:
    """What the rules look at in a version. Versions of a key come newest first."""

    key: str
    version_id: str
    modified: int
    size: int
    tags: Mapping[str, str]
    delete_marker: bool


@dataclass(frozen=True, slots=True)
class Removal:
    """What is due: `expire` does what a DELETE without version does, `remove` takes a version away for good."""

    verb: Literal["expire", "remove"]
    version: State
    rule: str


def due(modified: int, days: int, day: int = DAY) -> int:
    """Return when something that happened at `modified` is so many days old: at the next midnight, as AWS rounds it.

    With another length of a day (tests), nothing is rounded.
    """
    when = modified + days * day
    return -(-when // DAY) * DAY if day == DAY else when


def expiry(rules: Sequence[Rule], state: State, day: int = DAY) -> tuple[int, str] | None:
    """Return when the newest version of a key expires and by which rule; None when no rule says so."""
    found = [
        (rule.date or due(state.modified, rule.days, day), rule.name)
        for rule in rules
        if (rule.days or rule.date) and rule.covers(state.key, state.tags, state.size)
    ]
    return min(found, default=None)


def removals(rules: Sequence[Rule], versions: Sequence[State], now: int, day: int = DAY) -> Iterator[Removal]:
    """Yield what is due among all versions of one key, newest first."""
    if not versions:
        return
    newest = versions[0]
    if newest.delete_marker:
        if len(versions) == 1 and (rule := _lone_marker(rules, newest, now, day)) is not None:
            yield Removal("remove", newest, rule.name)
    else:
        when = expiry(rules, newest, day)
        if when is not None and when[0] <= now:
            yield Removal("expire", newest, when[1])
    for rank, version in enumerate(versions[1:]):
        left = versions[rank].modified  # when its successor took its place
        for rule in rules:
            if not (rule.noncurrent_days or rule.newer_noncurrent):
                continue
            old = due(left, rule.noncurrent_days, day) <= now
            if old and rank >= rule.newer_noncurrent and rule.covers(version.key, version.tags, version.size):
                yield Removal("remove", version, rule.name)
                break


def _lone_marker(rules: Sequence[Rule], marker: State, now: int, day: int) -> Rule | None:
    """Return the rule that takes away a delete marker with nothing below it."""
    for rule in rules:
        if not rule.covers(marker.key, {}, 0):
            continue
        if rule.delete_marker or (rule.days and due(marker.modified, rule.days, day) <= now):
            return rule
    return None


def abort_due(rules: Sequence[Rule], key: str, started: int, now: int, day: int = DAY) -> bool:
    """Say whether an unfinished upload is to be aborted."""
    return any(
        rule.enabled
        and rule.abort_days
        and rule.of_uploads
        and key.startswith(rule.prefix)
        and due(started, rule.abort_days, day) <= now
        for rule in rules
    )
