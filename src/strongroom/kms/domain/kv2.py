"""KV version 2: what happens to a secret's versions (vault.md 5.2). Pure functions on a record; times in ns."""

from typing import Any

import msgspec

from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.fields import kind_name, to_text
from strongroom.kms.domain.values import go_duration, rfc3339

DEFAULT_VERSIONS = 10
MAX_CUSTOM = 64
MAX_CUSTOM_KEY = 128
MAX_CUSTOM_VALUE = 512
CAS_WRONG = "check-and-set parameter did not match the current version"
CAS_MISSING = "check-and-set parameter required for this call"


class Version(msgspec.Struct):
    """One version; deleted: when it is or will be deleted, 0 for never."""

    created: int
    deleted: int = 0
    destroyed: bool = False


class Config(msgspec.Struct):
    """A mount's settings; delete_version_after in seconds, negative for never."""

    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: float = 0
    metadata_cas_required: bool = False


class Key(msgspec.Struct):
    """A secret's metadata, the versions by number."""

    created: int
    updated: int
    versions: dict[int, Version] = msgspec.field(default_factory=dict)
    current: int = 0
    oldest: int = 0
    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: float = 0
    custom: dict[str, str] | None = None
    metadata_version: int = 0
    metadata_cas_required: bool = False

    def live(self, number: int, now: int) -> bool:
        """Say whether a version is there and neither deleted nor destroyed."""
        found = self.versions.get(number)
        return found is not None and not found.destroyed and not (found.deleted and found.deleted <= now)


def check_cas(key: Key | None, config: Config, options: dict[str, Any] | None) -> None:
    """Raise Refused unless the request's check-and-set parameter allows the write."""
    given = (options or {}).get("cas")
    if given is None:
        if config.cas_required or (key is not None and key.cas_required):
            raise Refused(CAS_MISSING)
        return
    try:
        wanted = int(given) if isinstance(given, str | int) else int(to_text(given))
    except ValueError as error:
        raise Refused("error parsing check-and-set parameter") from error
    if wanted != (key.current if key is not None else 0):
        raise Refused(CAS_WRONG)


def add_version(key: Key, config: Config, now: int) -> list[int]:
    """Add the next version; return the numbers that fell out."""
    key.current, key.updated = key.current + 1, now
    key.versions[key.current] = Version(now, deletion_time(key, config, now))
    kept = max(key.max_versions, config.max_versions) or DEFAULT_VERSIONS
    dropped = sorted(key.versions)[: max(len(key.versions) - kept, 0)]
    for number in dropped:
        del key.versions[number]
    if dropped:
        key.oldest = min(key.versions)
    return dropped


def undelete(key: Key, config: Config, numbers: list[int], now: int) -> None:
    """Bring deleted versions back; they last as long as new ones do."""
    for number in numbers:
        found = key.versions.get(number)
        if found is not None and not found.destroyed:
            found.deleted = deletion_time(key, config, now)


def deletion_time(key: Key, config: Config, now: int) -> int:
    """Return when a version that is new at now will be deleted, 0 for never."""
    times = (key.delete_version_after, config.delete_version_after)
    after = [seconds for seconds in times if seconds]
    return now + int(min(after) * 1e9) if after and min(after) > 0 else 0


def versions_kept(given: int) -> int:
    """Return how many versions are to be kept: a negative number is as good as all, as an unsigned one is."""
    return given & 0xFFFFFFFF


def version_shown(key: Key, number: int) -> dict[str, Any]:
    """Return the metadata object of a version."""
    found = key.versions[number]
    return {
        "created_time": rfc3339(found.created),
        "custom_metadata": key.custom,
        "deletion_time": rfc3339(found.deleted) if found.deleted else "",
        "destroyed": found.destroyed,
        "version": number,
    }


def key_shown(key: Key) -> dict[str, Any]:
    """Return a secret's metadata as `metadata/` answers it."""
    versions = {
        str(number): {
            "created_time": rfc3339(found.created),
            "deletion_time": rfc3339(found.deleted) if found.deleted else "",
            "destroyed": found.destroyed,
        }
        for number, found in key.versions.items()
    }
    return {
        "versions": versions,
        "current_version": key.current,
        "oldest_version": key.oldest,
        "created_time": rfc3339(key.created),
        "updated_time": rfc3339(key.updated),
        "max_versions": key.max_versions,
        "cas_required": key.cas_required,
        "delete_version_after": go_duration(key.delete_version_after),
        "custom_metadata": key.custom,
        "current_metadata_version": key.metadata_version,
        "metadata_cas_required": key.metadata_cas_required,
    }


def custom_metadata(given: Any, known: dict[str, str] | None = None) -> dict[str, str] | None:
    """Return checked custom metadata: given replaces, or with `known` is merged into it, null removing."""
    if not isinstance(given, dict):
        raise Refused(f"custom_metadata validation failed: expected a map, got '{kind_name(given)}'")
    found = dict(known or {})
    for name, value in given.items():
        if value is None:
            found.pop(name, None)
            continue
        try:
            found[name] = to_text(value)
        except ValueError as error:
            raise Refused(f"custom_metadata validation failed: {error}") from error
    problems = _custom_problems(found)
    if problems:
        count = len(problems)
        head = f"{count} error{'s' if count > 1 else ''} occurred:\n\t* "
        raise Refused(head + "\n\t* ".join(f"custom_metadata validation failed: {p}" for p in problems) + "\n\n")
    return found or None


def _custom_problems(found: dict[str, str]) -> list[str]:
    if len(found) > MAX_CUSTOM:
        return [f"payload must contain at most {MAX_CUSTOM} keys, provided {len(found)}"]
    problems = []
    for name, value in found.items():
        size, length = len(name.encode()), len(value.encode())
        if not 0 < size <= MAX_CUSTOM_KEY:
            problems.append(f'length of key "{name}" is {size} but must be 0 < len(key) <= {MAX_CUSTOM_KEY}')
        if not 0 < length <= MAX_CUSTOM_VALUE:
            problems.append(
                f'length of value for key "{name}" is {length} but must be 0 < len(value) <= {MAX_CUSTOM_VALUE}'
            )
        if not name.isprintable() or not value.isprintable():
            problems.append(f'key "{name}" or its value contains unprintable characters')
    return problems


def merge_patch(target: Any, patch: Any) -> Any:
    """Return target changed by a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def subkeys(value: Any, depth: int) -> Any:
    """Return the structure of a value, leaves as null, depth levels deep (0: all)."""
    if not isinstance(value, dict) or not value:
        return None
    return {name: None if depth == 1 else subkeys(part, depth - 1) for name, part in value.items()}
