"""The archives of `mc admin cluster bucket|iam export`: zip files (docs/formats/cluster-archives.md)."""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

from strongroom.errors import Malformed, TooLarge
from strongroom.s3.domain.iam.records import DISABLED, ENABLED, Account, Group, NamedPolicy, User
from strongroom.s3.wire.admin import rfc3339

LIMIT = 64 * 1024 * 1024  # bytes of an archive, and of everything in it
MEMBERS = 100_000
FOLDER = "iam-assets/"
STEMS = ("policies", "users", "groups", "user_mappings", "group_mappings", "svcaccts")
_TIME = (1980, 1, 1, 0, 0, 0)  # the same entries make the same archive


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return an archive of members by path."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in members.items():
            info = zipfile.ZipInfo(path, _TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            archive.writestr(info, data)
    return out.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the members of an archive by path; raise Malformed, and TooLarge before anything large is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            if len(infos) > MEMBERS or sum(info.file_size for info in infos) > LIMIT:
                raise TooLarge(f"an archive of more than {LIMIT} bytes or {MEMBERS} members")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Malformed(f"no archive: {error}") from error


def iam_members(
    policies: Mapping[str, NamedPolicy],
    users: Mapping[str, User],
    groups: Mapping[str, Group],
    accounts: Mapping[str, Account],
) -> dict[str, bytes]:
    """Return the archive's members for IAM entries; sessions are left out."""
    documents: dict[str, dict[str, Any]] = {
        "policies": {name: json.loads(one.document) for name, one in policies.items()},
        "users": {name: {"secretKey": one.secret, "status": _status(one)} for name, one in users.items()},
        "groups": {
            name: {"version": 1, "status": _status(one), "members": list(one.members), "updatedAt": one.updated}
            for name, one in groups.items()
        },
        "user_mappings": {name: _mapping(one) for name, one in users.items() if one.policies},
        "group_mappings": {name: _mapping(one) for name, one in groups.items() if one.policies},
        "svcaccts": {name: _account(one) for name, one in accounts.items() if not one.token},
    }
    return {f"{FOLDER}{stem}.json": json.dumps(found, indent=1).encode() for stem, found in documents.items()}


def _status(entry: User | Group) -> str:
    return ENABLED if entry.enabled else DISABLED


def _mapping(entry: User | Group) -> dict[str, Any]:
    return {"version": 1, "policy": ",".join(entry.policies), "updatedAt": entry.updated}


def _account(account: Account) -> dict[str, Any]:
    found: dict[str, Any] = {"parent": account.parent, "secretKey": account.secret,
                             "status": "on" if account.enabled else "off"}  # fmt: skip
    if account.policy:
        found["sessionPolicy"] = json.loads(account.policy)
    if account.expires:
        found["expiration"] = rfc3339(account.expires).replace(".000000", "")
    return found | {name: value for name in ("name", "description") if (value := getattr(account, name))}


def iam_documents(members: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return the documents of an archive by their names' stems, wherever they lie; raise Malformed."""
    found: dict[str, dict[str, Any]] = {}
    for path, data in members.items():
        stem, _, kind = path.rpartition("/")[2].rpartition(".")
        if stem not in STEMS or kind != "json" or not data.strip():
            continue
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"{path}: {error}") from error
        if isinstance(document, dict):
            found[stem] = document
    return found
