"""The public access block of a bucket."""

from dataclasses import dataclass
from functools import lru_cache

from strongroom.s3.wire import xml

NAME = "public-access-block"  # the bucket's document
_FIELDS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@dataclass(frozen=True, slots=True)
class Blocks:
    """What is blocked."""

    block_public_acls: bool = False
    ignore_public_acls: bool = False
    block_public_policy: bool = False
    restrict_public_buckets: bool = False


@lru_cache(maxsize=1024)
def read(document: bytes | None) -> Blocks:
    """Return a stored configuration; nothing is blocked without one."""
    if not document:
        return Blocks()
    node = xml.read(document)
    return Blocks(*[node.value(name).strip().lower() == "true" for name in _FIELDS])


def render(body: bytes) -> bytes:
    """Return a configuration as it is stored; raise Refused."""
    node = xml.parse(body, "PublicAccessBlockConfiguration", detail=False)
    xml.only(node, _FIELDS, once=_FIELDS)
    items: list[xml.Item] = [(name, node.value(name).strip().lower() == "true") for name in _FIELDS]
    return xml.document("PublicAccessBlockConfiguration", items)
