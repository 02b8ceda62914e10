"""Users, groups, policies and accounts as one archive: `mc admin cluster iam export|import`."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from strongroom.errors import Denied, Error, Malformed, NotFound
from strongroom.messages import Response
from strongroom.s3.domain.iam.directory import Directory
from strongroom.s3.domain.iam.records import Account, Entry, Group, NamedPolicy, User
from strongroom.s3.domain.policy.canned import CANNED
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.admin.accounts import session_policy
from strongroom.s3.handlers.admin.desk import Errand
from strongroom.s3.handlers.admin.policies import check_document
from strongroom.s3.handlers.admin.users import check_access_key, check_secret, refuse_account
from strongroom.s3.wire import archives
from strongroom.s3.wire.admin import moment_of, names_of, refused, render_json, text_of
from strongroom.s3.wire.errors import status_and_text

ZIP = ("Content-Type", "application/zip")
OFF = frozenset({"off", "disabled"})
Record = Mapping[str, Any]


async def export(errand: Errand) -> Response:
    """Return the archive. It holds every secret: whoever may do this may become anybody."""
    directory = errand.directory
    members = archives.iam_members(directory.policies, directory.users, directory.groups, directory.accounts)
    return Response(200, [ZIP], await asyncio.to_thread(archives.pack, members))


@dataclass(slots=True)
class Report:
    """What an import did, by kind: names, and of failures why."""

    added: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    failed: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Settling:
    """An import under way. by_root: the root user asks, who alone makes accounts of its own."""

    directory: Directory
    now: float
    by_root: bool
    report: Report = field(default_factory=Report)

    def policy(self, name: str, record: Record) -> tuple[str, Entry]:
        """Return the entry of a policy."""
        if not name or "/" in name or "," in name or not name.isprintable():
            raise refused("XMinioAdminInvalidArgument")
        old = self.directory.policies.get(name)
        document = check_document(json.dumps(record, separators=(",", ":")).encode())
        return "policies", NamedPolicy(document=document, created=old.created if old else "")

    def user(self, name: str, record: Record) -> tuple[str, Entry]:
        """Return the entry of a user; its policies come with the mappings."""
        secret, status = check_secret(text_of(record, "secretKey")), text_of(record, "status")
        old = self.directory.users.get(check_access_key(name))
        refuse_account(self.directory, name)
        return "users", User(secret=secret, enabled=status not in OFF, policies=old.policies if old else ())

    def group(self, name: str, record: Record) -> tuple[str, Entry]:
        """Return the entry of a group; members that do not exist are left out."""
        if not name or "/" in name:
            raise refused("XMinioAdminInvalidArgument")
        members = tuple(sorted({one for one in names_of(record, "members") if one in self.directory.users}))
        old = self.directory.groups.get(name)
        enabled = text_of(record, "status") not in OFF
        return "groups", Group(members=members, enabled=enabled, policies=old.policies if old else ())

    def user_mapping(self, name: str, record: Record) -> tuple[str, Entry]:
        """Return a user with its policies."""
        if name not in self.directory.users:
            raise refused("XMinioAdminNoSuchUser")
        return "users", msgspec.structs.replace(self.directory.users[name], policies=self._policies(record))

    def group_mapping(self, name: str, record: Record) -> tuple[str, Entry]:
        """Return a group with its policies."""
        if name not in self.directory.groups:
            raise refused("XMinioAdminNoSuchGroup")
        return "groups", msgspec.structs.replace(self.directory.groups[name], policies=self._policies(record))

    def _policies(self, record: Record) -> tuple[str, ...]:
        value = record.get("policy") or ""
        names = value if isinstance(value, list) else str(value).split(",")
        found = tuple(sorted({str(one).strip() for one in names} - {""}))
        for one in found:
            self.directory.document(one)
        return found

    def account(self, name: str, record: Record) -> tuple[str, Entry]:
        """Return the entry of a service account."""
        parent, root = text_of(record, "parent"), self.directory.root.access_key
        old = self.directory.accounts.get(check_access_key(name))
        if root in (parent, old.parent if old else "") and not self.by_root:
            raise Denied("only the root user makes and changes its accounts")
        if parent != root and parent not in self.directory.users:
            raise refused("XMinioAdminNoSuchUser")
        if name in self.directory.users:
            raise refused("XMinioAdminInvalidAccessKey", "The access key is a user's.")
        return "accounts", Account(
            secret=check_secret(text_of(record, "secretKey")),
            parent=parent,
            policy=session_policy(record.get("sessionPolicy")),
            enabled=text_of(record, "status") not in OFF,
            expires=self._expiry(text_of(record, "expiration")),
            name=text_of(record, "name"),
            description=text_of(record, "description"),
        )

    def _expiry(self, text: str) -> int:
        if not text or text.startswith(("1970-01-01", "0001-01-01")):
            return 0  # never
        moment = moment_of(text)
        if moment is None or moment < self.now:
            raise refused("XMinioAdminInvalidArgument", "it has expired")
        return int(moment)

    def built_in(self, stem: str, name: str, record: object) -> bool:
        """Say whether an entry is this server's own, and stays as it is: a built-in policy that says the same, root."""
        if stem == "policies" and name in CANNED:
            return bool(record == json.loads(self.directory.document(name)))
        return stem in {"users", "svcaccts"} and name == self.directory.root.access_key


Step = Callable[[Settling, str, Record], tuple[str, Entry]]
STEPS: Mapping[str, Step] = {
    "policies": Settling.policy,
    "users": Settling.user,
    "groups": Settling.group,
    "user_mappings": Settling.user_mapping,
    "group_mappings": Settling.group_mapping,
    "svcaccts": Settling.account,
}


async def load(errand: Errand) -> Response:
    """Make or replace what an archive holds; what cannot be is reported, the rest goes on."""
    try:
        members = await asyncio.to_thread(archives.unpack, errand.content)
        documents = archives.iam_documents(members)
    except Malformed as error:
        raise refused("XMinioAdminConfigBadJSON", str(error)) from error
    credential = errand.principal.credential
    settling = Settling(errand.directory, errand.desk.box.now(), by_root=bool(credential and credential.root))
    for stem, step in STEPS.items():
        for name, record in documents.get(stem, {}).items():
            await _settle(errand, settling, stem, step, name, record)
    return render_json(msgspec.to_builtins(settling.report))


async def _settle(errand: Errand, settling: Settling, stem: str, step: Step, name: str, record: object) -> None:
    report = settling.report
    if settling.built_in(stem, name, record):
        report.skipped.setdefault(stem, []).append(name)
        return
    try:
        if not isinstance(record, dict):
            raise refused("XMinioAdminConfigBadJSON")
        kind, entry = step(settling, name, record)
        if isinstance(entry, NamedPolicy) and not entry.created:
            entry = msgspec.structs.replace(entry, created=errand.desk.iam.time())
        await errand.desk.iam.save(kind, name, entry)
    except (Refused, Denied, NotFound) as error:
        report.failed.append({"kind": stem, "name": name, "error": _reason(error)})
    else:
        report.added.setdefault(stem, []).append(name)


def _reason(error: Error) -> str:
    return status_and_text(error)[1] if isinstance(error, Refused) else str(error)
