"""What a listing with `metadata=true` tells more of each key, as the original does (mc.md: find, mirror)."""

import re
from urllib.parse import urlencode

from strongroom.errors import NotFound
from strongroom.s3.domain.object_record import unpack_meta, unpack_tags
from strongroom.s3.domain.records import BucketRecord, ObjectVersion, Page
from strongroom.s3.handlers.call import Call
from strongroom.s3.wire import sse_headers, xml
from strongroom.s3.wire.sigv4 import value_text

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")  # what may be the name of an element

_SHOWN = {"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires"}


async def metadata(call: Call, record: BucketRecord, page: Page) -> dict[str, str]:
    """Return the elements UserMetadata and UserTags of each key that the caller may read."""
    told = {}
    for entry in page.entries:
        await call.learn(record, entry.key, None)
        if call.allowed("s3:GetObject", record, entry.key):
            try:
                version = await call.box.store.get(record.name, entry.key)
            except NotFound:
                continue  # removed meanwhile
            tags = version.tags if call.allowed("s3:GetObjectTagging", record, entry.key) else b""
            told[entry.key] = _elements(call, version, tags)
    return told


def _elements(call: Call, version: ObjectVersion, tags: bytes) -> str:
    meta = unpack_meta(version.meta)
    named: list[tuple[str, str]] = [(name, value_text(value)) for name, value in meta.headers.items() if name in _SHOWN]
    shown = sse_headers.response_headers(call.box.sealing.describe(meta.seal), "") if meta.seal else []
    named += [(_title(name), value) for name, value in (*meta.user.items(), *shown)]
    items: list[xml.Item] = [(name, value) for name, value in named if _NAME.fullmatch(name)]
    shown_tags = xml.element("UserTags", urlencode(unpack_tags(tags))) if tags else ""
    return xml.element("UserMetadata", items) + shown_tags


def _title(name: str) -> str:
    return "-".join([word.capitalize() for word in name.split("-")])
