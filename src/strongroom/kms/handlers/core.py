"""The server's heart: what an unsealed server holds in memory, and how it gets there and forgets it again."""

import asyncio
import os
import platform
import random
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from strongroom.kms.domain.acl import Acl
from strongroom.kms.domain.barrier import Keyring, open_with, seal_with
from strongroom.kms.domain.cidrs import within
from strongroom.kms.domain.entries import Entries, Ticket, Work
from strongroom.kms.domain.errors import Forbidden
from strongroom.kms.domain.lockouts import LockoutRule, rule_for
from strongroom.kms.domain.mounts import Mounts, first_mounts
from strongroom.kms.domain.ports import AutoSeal, Clock, EntryStore, ReadSnapshot, ReviewToken, Write, WriteSnapshot
from strongroom.kms.domain.records import Cluster, Mount, MountTable, Token
from strongroom.kms.domain.tokens import Tokens
from strongroom.kms.domain.values import ZERO_TIME
from strongroom.kms.handlers.audit import Audit
from strongroom.kms.handlers.call import Backend, Call
from strongroom.kms.handlers.identity import Identity
from strongroom.kms.handlers.lockout import Lockouts
from strongroom.kms.handlers.metrics import Metrics
from strongroom.kms.handlers.passwords import Passwords
from strongroom.kms.handlers.policies import Policies
from strongroom.kms.handlers.quotas import PREFIX as QUOTAS
from strongroom.kms.handlers.quotas import Quota, Quotas
from strongroom.kms.handlers.removal import Removal
from strongroom.kms.settings import Settings

if TYPE_CHECKING:
    from strongroom.kms.handlers.cluster import Member
    from strongroom.kms.handlers.sealing import Sealing

MOUNTS = "core/mounts"
CLUSTER = "core/cluster"
SALT = "core/token-salt"
KEYRING = "core/keyring"
PROTOCOL_VERSION = "2.7.2"  # the release of the protocol that the recordings in tests/vectors/kms show
COMMIT_DATE = "2026-08-01T00:00:00Z"
PLUGIN_VERSION = f"v{PROTOCOL_VERSION}+builtin.bao"


@dataclass(slots=True, repr=False)
class Secrets:
    """Keys in memory while unsealed: the root key, and the seal key that wraps it (b"" with an outside seal)."""

    root: bytes
    seal: bytes = b""


@dataclass(slots=True)
class Unsealed:
    """Everything that exists only while unsealed."""

    keys: Secrets
    entries: Entries
    mounts: Mounts
    tokens: Tokens
    policies: Policies
    cluster: Cluster
    backends: dict[str, Backend] = field(default_factory=dict)


class Core:
    """State shared by all handlers. `live` raises when sealed; `unsealed` is None then."""

    def __init__(
        self,
        settings: Settings,
        store: EntryStore,
        clock: Clock,
        factories: "dict[str, Callable[[Core, Mount], Backend]]",
        auto_seal: AutoSeal | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        self.factories = factories
        self.auto_seal = auto_seal
        self.old_seal: AutoSeal | None = None
        self.unsealed: Unsealed | None = None
        self.audit = Audit()
        self.identity = Identity()
        self.lockouts = Lockouts()
        self.passwords = Passwords()
        self.removal = Removal(self)
        self.quotas = Quotas()
        self.on_seal: list[Callable[[], None]] = []
        self.standby = False
        self.keys_lock = asyncio.Lock()  # held from the making of a key or share until it is durable
        self.restoring = False  # everything in the storage is being replaced: nobody reads or writes meanwhile
        self.ha_enabled = False
        self.sealing: Sealing | None = None
        self.review_token: ReviewToken | None = None
        self.on_step_down: Callable[[], None] | None = None
        self.write_snapshot: WriteSnapshot | None = None
        self.read_snapshot: ReadSnapshot | None = None
        self.spool: Callable[[], IO[bytes]] | None = None
        self.metrics = Metrics()
        self.active_time = ZERO_TIME
        self.warn: Callable[[str], None] = lambda text: None
        self.info: Callable[[str], None] = lambda text: None
        self.cluster: Member | None = None
        self.hostname = platform.node()

    @property
    def live(self) -> Unsealed:
        """What an unsealed server holds."""
        assert self.unsealed is not None
        return self.unsealed

    def work(self) -> Work:
        """Return a fresh unit of work."""
        return Work(self.live.entries)

    def set_up(self, keyring: Keyring, now: int) -> tuple[Work, str]:
        """Return the first entries of a fresh server as one unit of work, and the root token's text."""
        work = Work(Entries(self.store, keyring))
        salt = secrets.token_bytes(32)
        work.put(SALT, salt)
        name = self.settings.cluster_name or f"vault-cluster-{secrets.token_hex(4)}"
        work.store(CLUSTER, Cluster(name, str(uuid.uuid4()), now))
        work.store(MOUNTS, MountTable(first_mounts()))
        Policies().set_up(work, now)
        return work, root_token(work, Tokens(salt), now, self.settings.dev_root_token)

    def open(self, keyring: Keyring, keys: Secrets) -> None:
        """Become unsealed with these keys; raise Tampered when an entry does not open."""
        entries = Entries(self.store, keyring)
        work = Work(entries)
        salt = work.get(SALT) or b""
        table, cluster = work.load(MOUNTS, MountTable), work.load(CLUSTER, Cluster)
        live = Unsealed(keys, entries, Mounts(table), Tokens(salt), Policies(), cluster)
        self.unsealed = live
        for mount in table.mounts:
            live.backends[mount.uuid] = self.backend(mount)
        for key in work.walk(QUOTAS):
            rule = work.load(key, Quota)
            self.quotas.put(rule)
        self.audit.load(work, self.settings.audits)

    def reopen(self, keys: Secrets) -> None:
        """Become unsealed anew with keys that are in memory already; raise Tampered."""
        record = open_with(keys.root, KEYRING, self.store.get(KEYRING) or b"")
        self.audit.close()
        self.open(Keyring.from_bytes(record), keys)

    def backend(self, mount: Mount) -> Backend:
        """Make the engine or auth method of a mount."""
        return self.factories[mount.type](self, mount)

    def close(self) -> None:
        """Seal: forget every key and every plaintext."""
        live, self.unsealed = self.unsealed, None
        if live is None:
            return
        for backend in live.backends.values():
            backend.forget()
        for call in self.on_seal:
            call()
        live.policies.forget()
        live.tokens.forget()
        live.entries.forget()
        live.entries.keyring.wipe()
        live.keys = Secrets(b"")
        self.audit.close()
        self.lockouts.clear()
        self.quotas.clear()

    def save_mounts(self, work: Work) -> None:
        """Store the mount table as it is in memory."""
        work.store(MOUNTS, self.live.mounts.table)

    async def save_keyring(self) -> None:
        """Store the keyring, sealed by the root key; raise Unavailable. The caller holds keys_lock."""
        await self.commit_raw([Write(KEYRING, self.keyring_record(self.live.keys.root))]).wait()

    def keyring_record(self, root: bytes) -> bytes:
        """Return the keyring sealed by a root key."""
        return seal_with(root, KEYRING, self.live.entries.keyring.to_bytes())

    async def rotate_keyring(self, now: int) -> None:
        """Add a term to the keyring; nothing is sealed under it before it is durable. Raises Unavailable."""
        async with self.keys_lock:
            keyring = self.live.entries.keyring
            term = keyring.grow(now)
            await self.save_keyring()
            keyring.adopt(term)

    async def rotate_if_due(self) -> None:
        """Rotate the keyring when its rule asks for it; raise Unavailable."""
        live = self.working()
        if live is not None and live.entries.keyring.due(self.clock()):
            await self.rotate_keyring(self.clock())

    def commit_raw(self, writes: list[Write]) -> Ticket:
        """Queue entries that are not under the barrier; after a failure the storage has to be read anew."""
        return self.live.entries.commit({}, writes)

    def acl_of(self, work: Work, token: Token) -> Acl:
        """Return what a token may do."""
        return self.live.policies.acl_of(token) or self.live.policies.make_acl(
            work, token, self.identity.template(work, token) if token.entity_id else {}
        )

    def check_cidrs(self, blocks: list[str], address: str) -> None:
        """Raise Forbidden unless address lies in one of the blocks."""
        if not within(address, blocks):
            raise Forbidden("permission denied")

    def quota(self, call: Call) -> None:
        """Raise RateLimited when a quota says not now."""
        self.quotas.check(call)

    def lockout_rule(self, mount: Mount) -> LockoutRule:
        """Return when failed logins at a mount lock their alias."""
        return rule_for(self.settings.user_lockout, mount.type, mount.config.user_lockout)

    def default_ttl(self, mount: Mount) -> int:
        """Return a mount's default TTL, seconds."""
        return mount.config.default_lease_ttl or self.settings.default_lease_ttl

    def max_ttl(self, mount: Mount) -> int:
        """Return a mount's greatest TTL, seconds."""
        return mount.config.max_lease_ttl or self.settings.max_lease_ttl

    def working(self) -> Unsealed | None:
        """Return what an unsealed server holds if it may write by itself now."""
        live = self.unsealed
        if live is None or self.standby or self.restoring or live.entries.failed is not None:
            return None
        return live

    def tick(self) -> Ticket | None:
        """Do what time asks for: revoke what has expired, rotate transit keys; called about once a second."""
        live = self.working()
        if live is None:
            return None
        now = self.clock()
        work = Work(live.entries)
        live.tokens.sweep(work, now // 1_000_000_000)
        for backend in live.backends.values():
            try:
                backend.tick(work, now)
            except Exception as error:  # an entry that one engine cannot read must not keep the others from their work
                self.warn(f"background work of {backend.mount.path}: {type(error).__name__}")
        self.removal.resume(work)
        return work.commit()

    def sweep(self) -> Ticket | None:
        """Revoke some more of what has expired; None when nothing is left."""
        live = self.working()
        if live is None:
            return None
        work = Work(live.entries)
        return work.commit() if live.tokens.sweep(work, self.clock() // 1_000_000_000) else None


def root_token(work: Work, tokens: Tokens, now: int, text: str = "") -> str:
    """Create a root token and return its text."""
    from strongroom.kms.domain.tokens import random_text

    text = text or "s." + random_text(24)
    seconds = now // 1_000_000_000
    token = Token("", random_text(24), ["root"], "auth/token/root", "root", seconds, now, orphan=True)
    return tokens.create(work, token, text)


_numbers = random.Random(os.urandom(32)).getrandbits  # noqa: S311 - request ids are names, not secrets


def request_id() -> str:
    """Return a random UUID's text, without a system call."""
    data = f"{_numbers(128):032x}"
    return f"{data[:8]}-{data[8:12]}-4{data[13:16]}-{'89ab'[_numbers(2)]}{data[17:20]}-{data[20:]}"
