"""Tag sets as XML (s3.md 8.3)."""

from collections.abc import Mapping

from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import xml
from strongroom.s3.wire.object_headers import check_tags

OBJECT_LIMIT, BUCKET_LIMIT = 10, 50


def parse(body: bytes, limit: int) -> dict[str, str]:
    """Return a tag set; raise Refused."""
    try:
        node = xml.read(body)
        if node.name != "Tagging":
            raise xml.NotXml(f"expected element type <Tagging> but have <{node.name}>")
    except xml.NotXml as error:
        raise Refused("MalformedXML", str(error)) from error
    tag_set = node.first("TagSet")
    if tag_set is None:
        raise Refused("MalformedXML")
    return check_tags([(tag.value("Key"), tag.value("Value")) for tag in tag_set.all("Tag")], limit)


def render(tags: Mapping[str, str]) -> bytes:
    """Return the document of a tag set, sorted by key."""
    rows: list[xml.Item] = [("Tag", [("Key", name), ("Value", value)]) for name, value in sorted(tags.items())]
    return xml.document("Tagging", [("TagSet", rows)], namespace=False)
