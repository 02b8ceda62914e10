"""Rate-limit quotas: so many requests a second for a path prefix and client address (vault.md 1.5, 429)."""

from dataclasses import dataclass, field

import msgspec

from strongroom.kms.domain.errors import RateLimited
from strongroom.kms.handlers.call import Call

PREFIX = "sys/quota/rate-limit/"
CLIENTS = 10_000


class Quota(msgspec.Struct):
    """A rule: rate per interval (seconds) for each client address; block_interval refuses that long once exceeded."""

    name: str
    path: str = ""
    rate: float = 0
    interval: float = 1
    block_interval: float = 0
    role: str = ""
    inheritable: bool = True


@dataclass(slots=True)
class _Bucket:
    tokens: float
    last: int
    blocked_until: int = 0


@dataclass(slots=True)
class Quotas:
    """The rules in force, with a token bucket per rule and client."""

    rules: dict[str, Quota] = field(default_factory=dict)
    _buckets: dict[tuple[str, str], _Bucket] = field(default_factory=dict)

    def put(self, rule: Quota) -> None:
        """Put a rule in force; its clients begin anew."""
        self.drop(rule.name)
        self.rules[rule.name] = rule

    def drop(self, name: str) -> None:
        """Take a rule out of force, if there is one."""
        self.rules.pop(name, None)
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key[0] != name}

    def check(self, call: Call) -> None:
        """Count a call; raise RateLimited when the most specific rule has nothing left for its client."""
        if not self.rules:
            return
        rule = self._rule(call)
        if rule is not None and not self._take(rule, call):
            raise RateLimited(f'request path "{call.full}": rate limit quota exceeded')

    def _rule(self, call: Call) -> Quota | None:
        matching = [rule for rule in self.rules.values() if call.full.startswith(rule.path)]
        return max(matching, key=lambda rule: len(rule.path), default=None)

    def _take(self, rule: Quota, call: Call) -> bool:
        key = (rule.name, call.peer.address)
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= CLIENTS:
                self._buckets.clear()
            bucket = self._buckets[key] = _Bucket(max(rule.rate, 1), call.now)
        if call.now < bucket.blocked_until:
            return False
        gained = (call.now - bucket.last) / 1e9 * rule.rate / rule.interval
        bucket.tokens, bucket.last = min(max(rule.rate, 1), bucket.tokens + gained), call.now
        if bucket.tokens < 1:
            bucket.blocked_until = call.now + int(rule.block_interval * 1e9)
            return False
        bucket.tokens -= 1
        return True

    def clear(self) -> None:
        """Forget rules and counts."""
        self.rules.clear()
        self._buckets.clear()
