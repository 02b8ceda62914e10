"""What `mc stat BUCKET` tells: the bucket's configurations and its usage (mc.md 9.7)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from strongroom.cli.mc.anonymous import permission_of
from strongroom.cli.mc.formats import local, moment, size
from strongroom.cli.mc.listing import EPOCH_TEXT
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3_admin import Admin
from strongroom.sdk.s3_xml import Node, parse

NONE = Node("")
NOTIFICATION = {"XMLName": {"Space": "http://s3.amazonaws.com/doc/2006-03-01/", "Local": "NotificationConfiguration"},
                "LambdaConfigs": None, "TopicConfigs": None, "QueueConfigs": None}  # fmt: skip


@dataclass(slots=True)
class Info:
    """A bucket's configurations; a missing one is an empty node."""

    name: str
    created: str
    parts: dict[str, Node] = field(default_factory=dict)
    policy: Mapping[str, object] | None = None
    location: str = ""
    usage: Mapping[str, object] = field(default_factory=dict)


def gather(target: Remote) -> Info:
    """Ask for every configuration; what is missing or refused counts as not there."""
    client, bucket = target.client, target.bucket
    try:
        created = next((each.modified for each in client.buckets() if each.key == bucket), "")
    except Error:
        created = ""  # who may see one bucket may not be allowed to list all
    info = Info(bucket, created, location=client.region(bucket))

    def fetch(name: str) -> bytes:
        query = [("withUpdatedAt", "true")] if name == "lifecycle" else []
        try:
            return client.get_config(bucket, name, query=query)
        except Error:
            return b""

    for name in ("versioning", "object-lock", "replication", "encryption"):
        info.parts[name] = _node(fetch(name))
    policy = fetch("policy")
    info.policy = json.loads(policy) if policy.startswith(b"{") else None
    for name in ("tagging", "lifecycle", "notification"):
        info.parts[name] = _node(fetch(name))
    admin = Admin(client)
    try:
        usage = admin.get_json("datausageinfo", {"capacity": "true"}, tries=1)
        every = usage.get("bucketsUsageInfo") if isinstance(usage, dict) else None
        info.usage = every.get(bucket, {}) if isinstance(every, dict) else {}
    except Error:
        info.usage = {}
    return info


def _node(data: bytes) -> Node:
    try:
        return parse(data) if data else NONE
    except Error:
        return NONE


def show(shell: Shell, info: Info) -> None:
    """Print the record or the text."""
    encryption = info.parts["encryption"].find("Rule/ApplyServerSideEncryptionByDefault") or NONE
    record = _record(info, encryption)
    text = "\n".join([*_properties(info, encryption), *_usage(info)]) + "\n\n"
    shell.console.say(record, text.rstrip("\n") + "\n\n" if not info.usage else text.rstrip("\n") + "\n")


def _record(info: Info, encryption: Node) -> dict[str, object]:
    versioning, lock = info.parts["versioning"], info.parts["object-lock"]
    held = {"algorithm": encryption.get("SSEAlgorithm"), "keyId": encryption.get("KMSMasterKeyID")}
    days, years = lock.get("Rule/DefaultRetention/Days"), lock.get("Rule/DefaultRetention/Years")
    tags = {tag.get("Key"): tag.get("Value") for tag in info.parts["tagging"].all("TagSet/Tag")}
    kind = permission_of(info.policy, info.name, "")
    record: dict[str, object] = {
        "status": "success", "name": info.name + "/", "lastModified": info.created or EPOCH_TEXT, "size": 0,
        "Versioning": {"status": versioning.get("Status"), "MFADelete": versioning.get("MfaDelete")},
        "Encryption": {key: value for key, value in held.items() if value},
        "ObjectLock": {"enabled": lock.get("ObjectLockEnabled"), "mode": lock.get("Rule/DefaultRetention/Mode"),
                       "validity": f"{days}DAYS" if days else f"{years}YEARS" if years else ""},
        "Replication": {"enabled": bool(info.parts["replication"].children), "config": {"Rules": None, "Role": ""}},
        "Policy": {"type": "none" if kind == "private" else kind,
                   **({"policy": json.dumps(info.policy)} if info.policy else {})},
        "location": info.location,
    }  # fmt: skip
    if tags:
        record["tagging"] = tags
    rules = [rule.get("ID") for rule in info.parts["lifecycle"].all("Rule")]
    record["ilm"] = {"config": {"Rules": rules}} if rules else {}
    record["notification"] = {"config": NOTIFICATION}
    record["Usage"] = dict(info.usage)
    return record


def _properties(info: Info, encryption: Node) -> list[str]:
    lines = [f"Name      : {info.name}", f"Date      : {local(moment(info.created))} ", "Size      : N/A    ",
             "Type      : folder ", "", "Properties:"]  # fmt: skip
    algorithm, key = encryption.get("SSEAlgorithm"), encryption.get("KMSMasterKeyID")
    if algorithm:
        name = {"aws:kms": "SSE-KMS", "aws:kms:dsse": "DSSE-KMS", "AES256": "SSE-S3"}.get(algorithm, algorithm)
        lines += ["  Encryption: ", f"\tKey Type: {name}", *([f"\tKey ID: {key}"] if key else [])]
    lines.append(f"  Versioning: {info.parts['versioning'].get('Status') or 'Un-versioned'}")
    lock = info.parts["object-lock"].get("ObjectLockEnabled")
    if lock:
        lines.append(f"  ObjectLock: {lock}")
    lines.append(f"  Location: {info.location}")
    kind = permission_of(info.policy, info.name, "")
    lines.append(f"  Anonymous: {'Disabled' if kind == 'private' else 'Enabled'}")
    tags = ", ".join(f"{tag.get('Key')}:{tag.get('Value')}" for tag in info.parts["tagging"].all("TagSet/Tag"))
    if tags:
        lines.append(f"  Tagging: {tags}")
    lines.append(f"  ILM: {'Enabled' if info.parts['lifecycle'].children else 'Disabled'}")
    if info.parts["notification"].children:
        lines.append("  Notification: Enabled")
    return lines


def _count(usage: Mapping[str, object], name: str) -> int:
    value = usage.get(name, 0)
    return value if isinstance(value, int) else 0


def _usage(info: Info) -> list[str]:
    usage = info.usage
    lines = ["", "Usage:", f"      Total size: {size(_count(usage, 'size'))}",
             f"   Objects count: {_count(usage, 'objectsCount')}",
             f"  Versions count: {_count(usage, 'versionsCount')}"]  # fmt: skip
    sizes = usage.get("objectsSizesHistogram")
    if isinstance(sizes, dict) and sizes:
        wide = max(len(str(count)) for count in sizes.values())
        wide = max(wide, 5) if wide > 5 else 5
        lines += ["", "Object sizes histogram:"]
        lines += [f"{count:>{wide}} object(s) {name}" for name, count in sorted(sizes.items())]
    return lines
