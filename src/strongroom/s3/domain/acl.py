"""Access control lists as values: grants of permissions to groups and names, and what each action needs (s3.md 8.8).

They count only in buckets whose ownership setting allows them, and only where no policy has decided (AWS's rules).
Format: docs/formats/object-record.md, acl.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from strongroom.errors import Malformed

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
GROUPS = frozenset({ALL_USERS, AUTHENTICATED, LOG_DELIVERY})
PERMISSIONS = frozenset({"READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"})
MAX_GRANTS = 100

CANNED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "private": (),
    "public-read": ((ALL_USERS, "READ"),),
    "public-read-write": ((ALL_USERS, "READ"), (ALL_USERS, "WRITE")),
    "authenticated-read": ((AUTHENTICATED, "READ"),),
    "aws-exec-read": (),
    "bucket-owner-read": (),  # the bucket's owner is the objects' owner here
    "bucket-owner-full-control": (),
    "log-delivery-write": ((LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")),
}  # beside the owner's full control
BUCKET_ACTIONS: Mapping[str, str] = {
    "s3:ListBucket": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE",
    "s3:DeleteObject": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
OBJECT_ACTIONS: Mapping[str, str] = {
    "s3:GetObject": "READ",
    "s3:GetObjectVersion": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:GetObjectVersionAcl": "READ_ACP",
    "s3:PutObjectAcl": "WRITE_ACP",
    "s3:PutObjectVersionAcl": "WRITE_ACP",
}
ENABLING = ("BucketOwnerPreferred", "ObjectWriter")  # ownership settings under which ACLs count
OWNERSHIP, NAME = "ownership", "acl"  # documents of a bucket's configuration


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """A permission for a group (its URI) or a name (a user, an access key, a canonical id)."""

    grantee: str
    permission: str


_DECODER = msgspec.msgpack.Decoder(list[Grant])
_VERSION = b"\x01"


def pack(grants: Sequence[Grant]) -> bytes:
    """Return a list's bytes; none for an empty one: the owner alone."""
    return _VERSION + msgspec.msgpack.encode(list(grants)) if grants else b""


def unpack(data: bytes) -> list[Grant]:
    """Read a list; raise Malformed."""
    if not data:
        return []
    try:
        if data[:1] != _VERSION:
            raise Malformed("an access control list of another version")
        return _DECODER.decode(memoryview(data)[1:])
    except msgspec.DecodeError as error:
        raise Malformed(f"access control list: {error}") from error


def canned(name: str) -> list[Grant]:
    """Return the grants of a canned list; raise KeyError."""
    return [Grant(*one) for one in CANNED[name]]


def enabled(config: Mapping[str, bytes]) -> bool:
    """Say whether a bucket's ownership setting lets ACLs count. By default it does not, as on AWS."""
    document = config.get(OWNERSHIP, b"")
    return document != b"" and any(setting.encode() in document for setting in ENABLING)


def public(grants: Sequence[Grant]) -> bool:
    """Say whether a list lets in everybody, or everybody with some account."""
    return any(grant.grantee in (ALL_USERS, AUTHENTICATED) for grant in grants)


def grants_to(data: bytes, names: Collection[str], permission: str) -> bool:
    """Say whether a stored list gives one of these names a permission."""
    return any(grant.grantee in names and grant.permission in (permission, "FULL_CONTROL") for grant in unpack(data))
