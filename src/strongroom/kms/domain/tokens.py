"""Tokens: made, found, renewed, revoked, as reads and writes of a Work (vault.md 3).

Entries: sys/token/id/<hash> the record · sys/token/accessor/<hash of accessor> the token's hash ·
sys/token/parent/<hash>/<child> a tree link · sys/lease/<path>/<hash> the lease · sys/expire/<12 digits>/<hash> the
sweeper's order. Hashes are HMAC-SHA-256 under a salt that is an entry itself.
"""

import hmac
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from strongroom.errors import Tampered
from strongroom.kms.domain.entries import Work
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.records import Token
from strongroom.kms.domain.values import short_duration

BASE62 = string.ascii_letters + string.digits
ROOT = "root"
CACHED, DEAD = 50_000, 1000
SWEEP = 50  # expired tokens that one batch removes: some 10 ms of the event loop
_BATCH_PATH = "batch-token"


def random_text(size: int) -> str:
    """Return random base62 text."""
    return "".join(secrets.choice(BASE62) for _ in range(size))


def clean_policies(names: Iterable[str], *, default: bool) -> list[str]:
    """Return names lower-cased, sorted, each once, with `default` if asked; `root` stands alone (vault.md 3.3)."""
    found = {name.strip().lower() for name in names} - {""}
    if ROOT in found:
        return [ROOT]
    return sorted(found | {"default"} if default else found)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What decides a TTL, in seconds; 0 for unset. maximum is the mount's or the system's."""

    default: float
    maximum: float
    requested: float = 0
    period: float = 0
    explicit_max: float = 0


def issue_ttl(life: Lifetime, elapsed: float = 0) -> tuple[int, list[str]]:
    """Return (seconds from now, warnings) at issue (elapsed 0) or renewal, capped as vault.md 3.5."""
    warnings: list[str] = []
    left = life.maximum - elapsed
    if life.period:
        ttl = min(life.period, life.maximum)
        if life.period > life.maximum:
            warnings.append(_capped("period", life.period, life.maximum))
        elif life.explicit_max and life.period > life.explicit_max:
            warnings.append(_capped("period", life.period, life.explicit_max))
        if life.explicit_max:
            ttl = min(ttl, life.explicit_max - elapsed)
        return int(ttl), warnings
    ttl, limit = life.requested or life.default, life.maximum
    if life.explicit_max and life.explicit_max < limit:
        limit, left = life.explicit_max, life.explicit_max - elapsed
    if ttl > left:
        if life.requested > limit or elapsed:
            warnings.append(_capped("TTL", ttl, limit))
        ttl = left
    return int(ttl), warnings


def shortest(*limits: float) -> float:
    """Return the least of the limits that are set, 0 when none is."""
    return min((limit for limit in limits if limit), default=0)


def _capped(what: str, asked: float, limit: float) -> str:
    return (
        f'{what} of "{short_duration(asked)}" exceeded the effective max_ttl of "{short_duration(limit)}"; '
        f"{what} value is capped accordingly"
    )


class Tokens:
    """The token store of an unsealed server; it caches records by text and hash."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._by_text: dict[str, Token] = {}
        self._by_hash: dict[str, Token] = {}
        self._dead = 0  # revoked since dead ones were last taken out of _by_text

    def hash(self, text: str) -> str:
        """Return the stored name of a token or accessor."""
        return "h" + hmac.digest(self._salt, text.encode(), "sha256").hex()

    def find(self, work: Work, text: str, now: int) -> Token | None:
        """Return the live token with this text, None for any other text."""
        token = self._by_text.get(text)
        if token is None:
            token = self._load(work, text)
            if token is None:
                return None
        if (token.expires and now >= token.expires) or token.num_uses < 0:
            return None
        return token

    def _load(self, work: Work, text: str) -> Token | None:
        if text.startswith("b."):
            return self._open_batch(work, text)
        token = self.by_hash(work, self.hash(text))
        if token is not None:
            if len(self._by_text) >= CACHED:
                self._by_text.clear()
            self._by_text[text] = token
        return token

    def by_hash(self, work: Work, name: str) -> Token | None:
        """Return a stored token, expired or not."""
        token = self._by_hash.get(name)
        if token is None:
            token = work.load(f"sys/token/id/{name}", Token)
            if token is not None:
                if len(self._by_hash) >= CACHED:
                    self.forget()
                self._by_hash[name] = token
        return token

    def by_accessor(self, work: Work, accessor: str, now: int) -> Token | None:
        """Return the live token with this accessor."""
        found = work.get(f"sys/token/accessor/{self.hash(accessor)}")
        token = None if found is None else self.by_hash(work, found.decode())
        return None if token is None or (token.expires and now >= token.expires) else token

    def create(self, work: Work, token: Token, text: str) -> str:
        """Store a new token and return its text; for a batch token the text is the sealed record itself."""
        if token.kind == "batch":
            return self._seal_batch(work, token)
        token.hash = self.hash(text)
        self.save(work, token)
        work.put(f"sys/token/accessor/{self.hash(token.accessor)}", token.hash.encode())
        if token.parent:
            work.put(f"sys/token/parent/{token.parent}/{token.hash}", b"")
        work.put(f"sys/lease/{token.path}/{token.hash}", b"")
        if token.expires:
            work.put(_expiry(token), b"")
        if max(len(self._by_text), len(self._by_hash)) >= CACHED:
            self.forget()
        self._by_text[text] = self._by_hash[token.hash] = token
        return text

    def save(self, work: Work, token: Token) -> None:
        """Store a changed record."""
        work.store(f"sys/token/id/{token.hash}", token)

    def reschedule(self, work: Work, token: Token, expires: int) -> None:
        """Give a token another end, in seconds since 1970, and store it."""
        if token.expires:
            work.delete(_expiry(token))
        token.expires = expires
        work.put(_expiry(token), b"")
        self.save(work, token)

    def use(self, work: Work, token: Token) -> bool:
        """Count one use of a limited token; True when it was the last, so that the caller revokes it afterwards."""
        token.num_uses -= 1
        last = token.num_uses == 0
        if last:
            token.num_uses = -1
        self.save(work, token)
        return last

    def revoke(self, work: Work, name: str, *, tree: bool = True) -> None:
        """Remove a token with its cubbyhole and, as a tree, its children; else they become orphans."""
        waiting = [name]
        while waiting:
            current = waiting.pop()
            children = work.names(f"sys/token/parent/{current}/")
            for child in children:
                work.delete(f"sys/token/parent/{current}/{child}")
                if not tree:
                    self._orphan(work, child)
            self._remove(work, current)
            waiting += children if tree else []

    def _orphan(self, work: Work, name: str) -> None:
        token = self.by_hash(work, name)
        if token is not None:
            token.parent, token.orphan = "", True
            self.save(work, token)

    def _remove(self, work: Work, name: str) -> None:
        token = self.by_hash(work, name)
        if token is None:
            return
        token.num_uses = -1
        self._by_hash.pop(name, None)
        self._bury()
        work.delete(f"sys/token/id/{name}")
        work.delete(f"sys/token/accessor/{self.hash(token.accessor)}")
        if token.parent:
            work.delete(f"sys/token/parent/{token.parent}/{name}")
        work.delete(f"sys/lease/{token.path}/{name}")
        if token.expires:
            work.delete(_expiry(token))
        for key in work.walk(f"cubbyhole/{name}/"):
            work.delete(key, erase=True)

    def _bury(self) -> None:
        """Forget the texts of dead tokens, once they are most of what is kept: a text is not known to its record."""
        self._dead += 1
        if self._dead > DEAD and 2 * self._dead > len(self._by_text):
            self._by_text = {text: token for text, token in self._by_text.items() if token.num_uses >= 0}
            self._dead = 0

    def sweep(self, work: Work, now: int) -> bool:
        """Revoke up to SWEEP tokens whose time is over, the oldest first; say whether there were any."""
        over = []
        for key in work.entries.store.keys("sys/expire/", "", SWEEP):
            if int(key.split("/")[2]) > now:
                break
            over.append(key)
        for key in over:
            token = self.by_hash(work, key.rpartition("/")[2])
            if token is None or 0 < token.expires <= now:  # not one that was renewed, its new end still on the way
                self.revoke(work, key.rpartition("/")[2])
            work.delete(key)  # also where its token is gone
        return bool(over)

    def forget(self) -> None:
        """Drop the caches."""
        self._by_text.clear()
        self._by_hash.clear()

    def _seal_batch(self, work: Work, token: Token) -> str:
        sealed = work.entries.keyring.seal(_BATCH_PATH, msgspec.msgpack.encode(token))
        return "b." + base64url(sealed)

    def _open_batch(self, work: Work, text: str) -> Token | None:
        try:
            record = work.entries.keyring.open(_BATCH_PATH, unbase64url(text[2:]))
        except (Tampered, ValueError):
            return None
        token = msgspec.msgpack.decode(record, type=Token)
        if token.parent and self.by_hash(work, token.parent) is None:
            return None  # a batch token ends with its parent
        return token


def _expiry(token: Token) -> str:
    return f"sys/expire/{token.expires:012d}/{token.hash}"


def base64url(data: bytes) -> str:
    """Return unpadded URL-safe base64."""
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    """Return the bytes of unpadded URL-safe base64; ValueError for anything else."""
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check_prefix(text: str) -> None:
    """Raise Refused for a custom token id that looks like ours (vault.md 3.3)."""
    for prefix in ("s.", "hvs."):
        if text.startswith(prefix):
            raise Refused(f"custom token ID cannot have the '{prefix}' prefix")
    if "." in text:
        raise Refused("custom token ID cannot have a '.' in the value")
