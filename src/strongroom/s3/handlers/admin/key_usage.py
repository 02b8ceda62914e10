"""Blast radius: what would be lost or locked with a key (architecture.md 5). Answered from counts, never by a walk."""

from collections.abc import Mapping
from typing import Any

import msgspec

from strongroom.messages import Response
from strongroom.s3.domain.encryption import strip_arn
from strongroom.s3.domain.ports import NoSuchBucket
from strongroom.s3.domain.records import BucketRecord, SealedBy
from strongroom.s3.domain.seal_metadata import parse_label
from strongroom.s3.handlers.admin.desk import Errand
from strongroom.s3.handlers.admin.keys import service
from strongroom.s3.handlers.list_keys import NAME, SealedListKey
from strongroom.s3.handlers.sealing import CONFIGURATION, bucket_default
from strongroom.s3.wire.admin import render_json

Counts = dict[int, SealedBy]  # by key version; 0 is unknown


async def usage(errand: Errand) -> Response:
    """Return the buckets that a key protects or is the default of; objects, versions and plaintext bytes of each.

    Objects are keys whose newest version is under it. Unfinished uploads do not count. What the server itself keeps
    under the key is told as well: users and policies, and list keys, which open ETags and vouch for tags and locks.
    """
    default = service(errand).default_key
    name = errand.query.get("key-id") or default
    errand.authorise("kms:KeyStatus", name)
    store = errand.desk.box.store
    buckets: list[dict[str, Any]] = []
    together: Counts = {}
    together_list_keys = 0
    for record in await store.buckets():
        try:
            counts = _of_key(await store.sealed_by(record.name), name)
        except NoSuchBucket:  # deleted meanwhile
            continue
        prefixes, list_keys = _prefixes(record, name, default), _list_keys(record, name)
        together_list_keys += list_keys
        if counts or prefixes is not None or list_keys:
            shown = {"name": record.name, "default": prefixes is not None, **_shown(counts), "list-keys": list_keys}
            buckets.append(shown)
            if prefixes:
                buckets[-1]["prefixes"] = prefixes
        for version, found in counts.items():
            together[version] = _sum([together.get(version, SealedBy()), found])
    own = {"users-and-policies": errand.desk.iam.under(name), "list-keys": together_list_keys}
    head = {"key-id": name, "server-default": name == default}
    return render_json({**head, **_shown(together), **own, "buckets": buckets})


def _of_key(sealed: Mapping[str, SealedBy], name: str) -> Counts:
    found = ((parse_label(text), counts) for text, counts in sealed.items())
    return {version: counts for (key, version), counts in found if key == name}


def _prefixes(record: BucketRecord, name: str, default: str) -> list[str] | None:
    """Return the prefixes for which a bucket's configuration names the key; None when it does not name it at all."""
    document = record.config.get(CONFIGURATION)
    rules = bucket_default(document).rules if document else ()
    mine = [rule.prefix for rule in rules if (strip_arn(rule.key_name) or default) == name]
    return [prefix for prefix in mine if prefix] if mine else None


def _list_keys(record: BucketRecord, name: str) -> int:
    """Return how many of a bucket's list keys are sealed under the key."""
    found = 0
    for document in [value for config, value in record.config.items() if config.startswith(NAME)]:
        try:
            found += msgspec.msgpack.decode(document, type=SealedListKey).key_name == name
        except msgspec.DecodeError:
            continue  # who opens it is told
    return found


def _sum(counts: list[SealedBy]) -> SealedBy:
    return SealedBy(
        sum(one.versions for one in counts), sum(one.size for one in counts), sum(one.objects for one in counts)
    )


def _shown(counts: Counts) -> dict[str, Any]:
    by_version = [{"version": version, **_members(found)} for version, found in sorted(counts.items())]
    return {**_members(_sum(list(counts.values()))), "key-versions": by_version}


def _members(counts: SealedBy) -> dict[str, int]:
    return {"objects": counts.objects, "versions": counts.versions, "bytes": counts.size}
