"""Entities: a stable id per login alias, enough for `entity_id` and policy templates (vault.md 4.3, 7.5)."""

import hashlib
import uuid

import msgspec

from strongroom.kms.domain.entries import Work
from strongroom.kms.domain.records import Mount, Token


class Entity(msgspec.Struct):
    """Who logs in through one alias of one auth mount."""

    id: str
    name: str
    accessor: str
    alias: str
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    created: int = 0


class Identity:
    """Finds and makes entities."""

    def of(self, work: Work, mount: Mount, alias: str, metadata: dict[str, str], now: int) -> str:
        """Return the id of the entity behind an alias, made at its first login."""
        key = f"sys/identity/alias/{mount.accessor}/{hashlib.sha256(alias.encode()).hexdigest()}"
        known = work.get(key)
        if known is not None:
            return known.decode()
        made = str(uuid.uuid4())
        entity = Entity(made, f"entity_{made[:8]}", mount.accessor, alias, metadata, now)
        work.put(key, made.encode())
        work.store(f"sys/identity/entity/{made}", entity)
        return made

    def read(self, work: Work, entity_id: str) -> Entity | None:
        """Return an entity."""
        return work.load(f"sys/identity/entity/{entity_id}", Entity)  # type: ignore[no-any-return]

    def template(self, work: Work, token: Token) -> dict[str, str]:
        """Return what policy templates may name about a token's entity."""
        entity = self.read(work, token.entity_id)
        if entity is None:
            return {}
        base = f"identity.entity.aliases.{entity.accessor}"
        found = {"identity.entity.id": entity.id, "identity.entity.name": entity.name, f"{base}.name": entity.alias}
        found[f"{base}.id"] = hashlib.sha256(entity.alias.encode()).hexdigest()
        for key, value in token.traits.items():
            found[f"{base}.metadata.{key}"] = value
        return found
