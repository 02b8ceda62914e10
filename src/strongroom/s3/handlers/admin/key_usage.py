"""Blast radius: what would be lost or locked with a key (architecture.md 5). Answered from counts, never by a walk."""

from collections.abc import Mapping
from typing import Any

from strongroom.messages import Response
from strongroom.s3.domain.encryption import strip_arn
from strongroom.s3.domain.ports import NoSuchBucket
from strongroom.s3.domain.records import BucketRecord, SealedBy
from strongroom.s3.domain.seal_metadata import parse_label
from strongroom.s3.handlers.admin.desk import Errand
from strongroom.s3.handlers.admin.keys import service
from strongroom.s3.handlers.sealing import CONFIGURATION, bucket_default
from strongroom.s3.wire.admin import render_json

Counts = dict[int, SealedBy]  # by key version; 0 is unknown


async def usage(errand: Errand) -> Response:
    """Return the buckets that a key protects or is the default of; objects, versions and plaintext bytes of each.

    Objects are keys whose newest version is under it. Unfinished uploads and the server's own entries do not count.
    """
    default = service(errand).default_key
    name = errand.query.get("key-id") or default
    errand.authorise("kms:KeyStatus", name)
    store = errand.desk.box.store
    buckets: list[dict[str, Any]] = []
    together: Counts = {}
    for record in await store.buckets():
        try:
            counts = _of_key(await store.sealed_by(record.name), name)
        except NoSuchBucket:  # deleted meanwhile
            continue
        prefixes = _prefixes(record, name, default)
        if counts or prefixes is not None:
            buckets.append({"name": record.name, "default": prefixes is not None, **_shown(counts)})
            if prefixes:
                buckets[-1]["prefixes"] = prefixes
        for version, found in counts.items():
            together[version] = _sum([together.get(version, SealedBy()), found])
    return render_json({"key-id": name, "server-default": name == default, **_shown(together), "buckets": buckets})


def _of_key(sealed: Mapping[str, SealedBy], name: str) -> Counts:
    found = ((parse_label(text), counts) for text, counts in sealed.items())
    return {version: counts for (key, version), counts in found if key == name}


def _prefixes(record: BucketRecord, name: str, default: str) -> list[str] | None:
    """Return the prefixes for which a bucket's configuration names the key; None when it does not name it at all."""
    document = record.config.get(CONFIGURATION)
    rules = bucket_default(document).rules if document else ()
    mine = [rule.prefix for rule in rules if (strip_arn(rule.key_name) or default) == name]
    return [prefix for prefix in mine if prefix] if mine else None


def _sum(counts: list[SealedBy]) -> SealedBy:
    return SealedBy(
        sum(one.versions for one in counts), sum(one.size for one in counts), sum(one.objects for one in counts)
    )


def _shown(counts: Counts) -> dict[str, Any]:
    by_version = [{"version": version, **_members(found)} for version, found in sorted(counts.items())]
    return {**_members(_sum(list(counts.values()))), "key-versions": by_version}


def _members(counts: SealedBy) -> dict[str, int]:
    return {"objects": counts.objects, "versions": counts.versions, "bytes": counts.size}
