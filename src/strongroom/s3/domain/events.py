"""Bucket notifications as values: what happened, who wants to hear of it, and the message that is sent (s3.md 8.7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

CREATED, REMOVED, ACCESSED = "s3:ObjectCreated:", "s3:ObjectRemoved:", "s3:ObjectAccessed:"
NAMES = frozenset(
    {
        *(CREATED + verb for verb in ("Put", "Post", "Copy", "CompleteMultipartUpload", "PutTagging", "DeleteTagging")),
        *(CREATED + verb for verb in ("PutRetention", "PutLegalHold")),
        *(REMOVED + verb for verb in ("Delete", "DeleteMarkerCreated")),
        *(ACCESSED + verb for verb in ("Get", "Head", "GetRetention", "GetLegalHold", "Attributes")),
    }
)
PATTERNS = NAMES | {CREATED + "*", REMOVED + "*", ACCESSED + "*", "s3:*"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object. version_id "" in a bucket without versions."""

    name: str
    key: str
    size: int = 0
    etag: str = ""
    version_id: str = ""
    content_type: str = ""
    user: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """Who did it, and where. time: seconds since the epoch."""

    bucket: str
    region: str
    who: str
    source: str
    host: str
    user_agent: str
    request_id: str
    time: float
    time_text: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A target that wants events of keys with this prefix and suffix."""

    name: str
    arn: str
    patterns: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""

    def wants(self, event: Event) -> bool:
        """Say whether an event is the target's business."""
        if not (event.key.startswith(self.prefix) and event.key.endswith(self.suffix)):
            return False
        return any(fits(pattern, event.name) for pattern in self.patterns)


def fits(pattern: str, name: str) -> bool:
    """Say whether an event name is meant by a pattern, which may end in `*`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == name


def overlap(subscriptions: Sequence[Subscription]) -> bool:
    """Say whether two subscriptions of one target could both want the same event."""
    for place, one in enumerate(subscriptions):
        for other in subscriptions[:place]:
            keys = (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)) and (
                one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
            )
            names = any(fits(a, b) or fits(b, a) for a in one.patterns for b in other.patterns)
            if one.arn == other.arn and keys and names:
                return True
    return False


def message(event: Event, scene: Scene, configuration: str, sequence: int) -> dict[str, Any]:
    """Return the message that a target gets: one record in AWS's form, with MinIO's two members around it."""
    thing: dict[str, Any] = {"key": quote_plus(event.key, safe="/"), "sequencer": f"{sequence:X}"}
    if not event.name.startswith(REMOVED):
        thing |= {"size": event.size, "eTag": event.etag, "contentType": event.content_type}
        thing |= {"userMetadata": dict(event.user)} if event.user else {}
    if event.version_id:
        thing["versionId"] = event.version_id
    record = {
        "eventVersion": "2.0",
        "eventSource": "strongroom:s3",
        "awsRegion": scene.region,
        "eventTime": scene.time_text,
        "eventName": event.name,
        "userIdentity": {"principalId": scene.who},
        "requestParameters": {"principalId": scene.who, "region": scene.region, "sourceIPAddress": scene.source},
        "responseElements": {"x-amz-request-id": scene.request_id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": scene.bucket,
                "ownerIdentity": {"principalId": scene.who},
                "arn": f"arn:aws:s3:::{scene.bucket}",
            },
            "object": thing,
        },
        "source": {"host": scene.source, "port": "", "userAgent": scene.user_agent},
    }
    return {"EventName": event.name, "Key": f"{scene.bucket}/{event.key}", "Records": [record]}
