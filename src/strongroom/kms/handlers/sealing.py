"""Init, unseal, seal: how a server comes to its keys (vault.md 2.2, 2.3, 8.3).

core/seal-config lies in clear JSON; core/root-key is the root key sealed by the seal key, which the shares combine to
(or wrapped by a key outside); core/keyring is sealed by the root key.
"""

import binascii
import os
import uuid
from base64 import b64decode, b64encode
from collections.abc import Awaitable
from typing import Any

import msgspec

from strongroom.errors import Tampered
from strongroom.kms.domain import shamir
from strongroom.kms.domain.barrier import KEY_SIZE, Keyring, open_with, seal_with
from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.ports import Write
from strongroom.kms.domain.records import SealConfig
from strongroom.kms.handlers.core import COMMIT_DATE, KEYRING, PROTOCOL_VERSION, Core, Secrets

CONFIG = "core/seal-config"
RECOVERY = "core/recovery-config"
ROOT_KEY = "core/root-key"
RECOVERY_KEY = "core/recovery-key"
SHORTEST, LONGEST = 16, 33  # bytes of a share
WRONG = "invalid key: failed to decrypt keys from storage: cipher: message authentication failed"


def check_split(shares: int, threshold: int, keys: list[str] | None = None) -> None:
    """Raise Refused unless a secret can be split this way (vault.md 2.2)."""
    rules = (
        (shares < 1, "shares must be at least one"),
        (threshold < 1, "threshold must be at least one"),
        (shares > 1 and threshold == 1, "threshold must be greater than one for multiple shares"),
        (shares > shamir.MAX_SHARES, "shares must be less than 256"),
        (threshold > shares, "threshold cannot be larger than shares"),
        (
            bool(keys) and len(keys or ()) != shares,
            "count mismatch between number of provided PGP keys and number of shares",
        ),
    )
    for broken, text in rules:
        if broken:
            raise Refused(text)


def share_key(key: bytes, shares: int, threshold: int) -> list[bytes]:
    """Return the parts of a key; one share is the key itself."""
    return [key] if shares == 1 else shamir.split(key, shares, threshold)


def decode_share(text: str) -> bytes:
    """Return a share given as hex or base64; raise Refused (vault.md 2.3)."""
    try:
        data = bytes.fromhex(text)
        if not len(data) >= SHORTEST:
            data = b64decode(text, validate=True)
            if len(data) < SHORTEST or text.strip("0123456789abcdefABCDEF") == "":
                raise Refused("'key' must be a valid hex or base64 string")
    except ValueError:
        try:
            data = b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused("'key' must be a valid hex or base64 string") from error
    if len(data) < SHORTEST:
        raise Refused("invalid key: key is shorter than minimum 16 bytes")
    if len(data) > LONGEST:
        raise Refused("invalid key: key is longer than maximum 33 bytes")
    return data


def combine(parts: list[bytes]) -> bytes:
    """Return the key that parts give; raise Refused with the texts of unseal."""
    if len(parts) == 1:
        return parts[0]
    try:
        return shamir.combine(parts)
    except Refused as error:
        raise Refused(f"invalid key: failed to compute combined key: {error}") from error


def shown(parts: list[bytes]) -> dict[str, Any]:
    """Return shares as answers carry them."""
    return {"keys": [part.hex() for part in parts], "keys_base64": [b64encode(part).decode() for part in parts]}


class Sealing:
    """The seal of one server: its configuration, and the shares of an unseal in progress."""

    def __init__(self, core: Core) -> None:
        self.core = core
        core.sealing = self
        self._parts: list[bytes] = []
        self._nonce = ""
        self._config: SealConfig | None = None
        self._initialising = False
        self.sealed_by_hand = False  # an operator's seal stays, also with an outside seal

    def __repr__(self) -> str:
        return f"Sealing(progress {len(self._parts)})"

    @property
    def config(self) -> SealConfig | None:
        """The stored configuration, None before init."""
        if self._config is None:
            data = self.core.store.get(CONFIG)
            self._config = None if data is None else msgspec.json.decode(data, type=SealConfig)
        return self._config

    @property
    def recovery(self) -> SealConfig | None:
        """The recovery shares' configuration, with an outside seal only."""
        data = self.core.store.get(RECOVERY)
        return None if data is None else msgspec.json.decode(data, type=SealConfig)

    @property
    def migrating(self) -> bool:
        """Whether the stored seal is another one than the configured one."""
        config = self.config
        wanted = self.core.auto_seal.kind if self.core.auto_seal is not None else "shamir"
        return config is not None and config.type != wanted

    @property
    def quorum(self) -> SealConfig:
        """The configuration that authorises rekey and generate-root."""
        config = self.recovery if self.core.auto_seal is not None else self.config
        assert config is not None
        return config

    def save_config(self, config: SealConfig, key: str = CONFIG) -> Write:
        """Return the write of a configuration, and remember it."""
        if key == CONFIG:
            self._config = config
        return Write(key, msgspec.json.encode(config))

    def status(self) -> dict[str, Any]:
        """Return the seal-status object (vault.md 2.3)."""
        config, live = self.config, self.core.unsealed
        auto = self.core.auto_seal
        shares = (self.recovery if auto is not None else config) if config is not None else None
        found: dict[str, Any] = {
            "type": auto.kind if auto is not None else "shamir",
            "initialized": config is not None,
            "sealed": live is None,
            "t": shares.secret_threshold if shares else 0,
            "n": shares.secret_shares if shares else 0,
            "progress": len(self._parts),
            "nonce": self._nonce,
            "version": PROTOCOL_VERSION,
            "build_date": COMMIT_DATE,
            "commit_date": COMMIT_DATE,
            "migration": self.migrating,
        }
        if live is not None:
            found |= {"cluster_name": live.cluster.name, "cluster_id": live.cluster.id}
        return found | {"recovery_seal": auto is not None, "storage_type": self.core.store.kind}

    async def init(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make the keys of a fresh server; return shares and root token. Raises Refused."""
        if self.config is not None or self._initialising:
            raise Refused("Vault is already initialized")
        auto = self.core.auto_seal is not None
        shares, threshold = self._sizes(request, "recovery" if auto else "secret")
        self._initialising = True
        try:
            if self.core.cluster is None:
                return await self._init(shares, threshold)
            async with self.core.cluster.claimed():
                if self.config is not None:
                    raise Refused("Vault is already initialized")
                return await self._init(shares, threshold)
        finally:
            self._initialising = False

    def _sizes(self, request: dict[str, Any], kind: str) -> tuple[int, int]:
        if kind == "secret":
            given = [n for n in ("recovery_shares", "recovery_threshold") if request.get(n)]
            if given:
                raise Refused(f"parameters {','.join(given)} not applicable to seal type shamir")
        shares, threshold = request.get(f"{kind}_shares", 0), request.get(f"{kind}_threshold", 0)
        if kind == "recovery" and not shares:
            shares, threshold = 5, 3
        keys = request.get("pgp_keys" if kind == "secret" else "recovery_pgp_keys")
        try:
            check_split(shares, threshold, keys)
            if keys or request.get("root_token_pgp_key"):
                raise Refused("PGP keys are not supported: split without them and encrypt the shares yourself")
        except Refused as error:
            raise Refused(f"invalid seal configuration: {error}") from error
        return shares, threshold

    async def _init(self, shares: int, threshold: int) -> dict[str, Any]:
        core, now = self.core, self.core.clock()
        root, split_key = os.urandom(KEY_SIZE), os.urandom(KEY_SIZE)
        parts = share_key(split_key, shares, threshold)
        keyring = Keyring.fresh(now)
        work, token = core.set_up(keyring, now)
        if core.auto_seal is None:
            kind, sealed_root, recovery = "shamir", seal_with(split_key, ROOT_KEY, root), []
        else:
            kind, sealed_root = core.auto_seal.kind, await core.auto_seal.wrap(root)
            work.put(RECOVERY_KEY, split_key)
            config = SealConfig("shamir", shares, threshold)
            recovery = [Write(RECOVERY, msgspec.json.encode(config))]
            shares, threshold = 1, 1
        raw = [
            Write(CONFIG, msgspec.json.encode(SealConfig(kind, shares, threshold))),
            Write(ROOT_KEY, sealed_root),
            Write(KEYRING, seal_with(root, KEYRING, keyring.to_bytes())),
            *recovery,
        ]
        await work.entries.commit(work.take(), raw).wait()
        if core.auto_seal is not None:
            self._open(root, b"")
            return {"keys": [], "keys_base64": []} | _recovery(parts) | {"root_token": token}
        return shown(parts) | {"root_token": token}

    def unseal(self, request: dict[str, Any]) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        """Take one share, or drop progress; return the seal-status, later when the seal migrates. Raises Refused."""
        core = self.core
        text = request.get("key") or ""
        if request.get("reset"):
            if core.unsealed is not None:
                raise Refused("vault is unsealed")
            self._reset()
            return self.status()
        if not text:
            raise Refused("'key' must be specified in request body as JSON, or 'reset' set to true")
        part = decode_share(text)
        config = self.config
        if config is None:
            raise Refused("Vault is not initialized")
        if core.unsealed is None and self.migrating:
            if not request.get("migrate"):
                raise Refused("'migrate' parameter must be set true in JSON body when in seal migration mode")
            return self._migrate(part, config)
        if core.unsealed is None and core.auto_seal is None:
            parts = self._gather(part, config.secret_threshold)
            if parts:
                key = combine(parts)
                self._open(self.root_key(key, "unable to retrieve stored keys: "), key)
        return self.status()

    def _gather(self, part: bytes, threshold: int) -> list[bytes]:
        """Keep a share; return all of them, and forget them, when there are enough."""
        if part not in self._parts:
            self._parts.append(part)
            self._nonce = self._nonce or str(uuid.uuid4())
        if len(self._parts) < threshold:
            return []
        parts = self._parts
        self._reset()
        return parts

    async def _migrate(self, part: bytes, config: SealConfig) -> dict[str, Any]:
        """Take a share of the old seal; with enough of them, the root key moves under the new seal.

        From Shamir the shares become recovery shares; to Shamir the recovery shares become unseal shares.
        """
        shares = config if config.type == "shamir" else self.recovery
        assert shares is not None
        parts = self._gather(part, shares.secret_threshold)
        if not parts:
            return self.status()
        key, core = combine(parts), self.core
        if config.type == "shamir":
            root = self.root_key(key, "unable to retrieve stored keys: ")
        else:
            if core.old_seal is None or core.old_seal.kind != config.type:
                raise Refused(f'configure the old seal "{config.type}" with disabled = "true" to migrate from it')
            root = await core.old_seal.unwrap(core.store.get(ROOT_KEY) or b"")
        self._open(root, b"")
        try:
            await self._reseal(root, key, shares, was=config.type)
        except BaseException:
            self.seal()
            raise
        return self.status()

    async def _reseal(self, root: bytes, key: bytes, shares: SealConfig, *, was: str) -> None:
        core, work = self.core, self.core.work()
        if was != "shamir" and not self.recovery_key_matches(key):
            raise Refused("unable to retrieve stored keys: " + WRONG)
        split = SealConfig("shamir", shares.secret_shares, shares.secret_threshold)
        if core.auto_seal is not None:
            work.put(RECOVERY_KEY, key)
            config, sealed = SealConfig(core.auto_seal.kind, 1, 1), await core.auto_seal.wrap(root)
            raw = [Write(RECOVERY, msgspec.json.encode(split))]
        else:
            work.delete(RECOVERY_KEY, erase=True)
            config, sealed, raw = split, seal_with(key, ROOT_KEY, root), [Write(RECOVERY, None)]
            core.live.keys.seal = key
        raw += [Write(ROOT_KEY, sealed), Write(CONFIG, msgspec.json.encode(config))]
        await work.entries.commit(work.take(), raw).wait()
        self._config = config

    def root_key(self, seal_key: bytes, context: str) -> bytes:
        """Return the root key; raise Refused, its text headed by context, for a wrong seal key."""
        try:
            return open_with(seal_key, ROOT_KEY, self.core.store.get(ROOT_KEY) or b"")
        except Tampered as error:
            raise Refused(context + WRONG) from error

    def recovery_key_matches(self, key: bytes) -> bool:
        """Say whether a combined recovery key is the stored one."""
        import hmac

        return hmac.compare_digest(self.core.live.entries.get(RECOVERY_KEY) or b"", key)

    def _open(self, root: bytes, seal_key: bytes) -> None:
        keyring = Keyring.from_bytes(open_with(root, KEYRING, self.core.store.get(KEYRING) or b""))
        self.core.open(keyring, Secrets(root, seal_key))
        self.sealed_by_hand = False
        self.core.info("unsealed")

    async def unseal_by_itself(self) -> bool:
        """Unseal with the key outside; False before init. Raises Unavailable or Tampered."""
        auto = self.core.auto_seal
        if auto is None or self.config is None or self.core.unsealed is not None or self.migrating:
            return False
        self._open(await auto.unwrap(self.core.store.get(ROOT_KEY) or b""), b"")
        return True

    def reload(self) -> None:
        """Read again what another server may have changed."""
        self._config = None

    def seal(self) -> None:
        """Forget the keys; nothing happens when sealed already."""
        self.sealed_by_hand = True
        self._reset()
        if self.core.unsealed is not None:
            self.core.info("sealed")
        self.core.close()

    def _reset(self) -> None:
        self._parts, self._nonce = [], ""


def _recovery(parts: list[bytes]) -> dict[str, Any]:
    return {f"recovery_{name}": value for name, value in shown(parts).items()}
