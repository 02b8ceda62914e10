"""Users, groups and policies of another server, from its archive of them (`admin cluster iam export`).

The archive's members are found by their names' stems, wherever they lie in it. Format as the original writes it
(unverified): JSON objects by name of policies, users, groups, service accounts and of policies per user and group.
"""

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress

from strongroom.cli.mc.admin_calls import Desk, mapping, texts
from strongroom.cli.mc.failures import Fatal
from strongroom.errors import Error
from strongroom.sdk.s3_errors import S3Error

BUILT_IN = frozenset({"consoleAdmin", "diagnostics", "readonly", "readwrite", "writeonly"})
LIMIT = 256 * 1024 * 1024  # bytes of one member
Say = Callable[[str], None]
Archive = dict[str, dict[str, object]]  # documents by stem, each with its entries by name


def read(archive: bytes) -> Archive:
    """Return the archive's documents by stem; raise Fatal when it is no archive."""
    found: Archive = {}
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            for info in files.infolist():
                if info.filename.endswith(".json") and info.file_size <= LIMIT:
                    stem = info.filename.rpartition("/")[2].removesuffix(".json")
                    found[stem] = mapping(json.loads(files.read(info) or b"{}"))
    except (zipfile.BadZipFile, ValueError) as error:
        raise Fatal("The archive of users and policies cannot be read.", str(error)) from error
    return found


class Settler:
    """Brings what an archive holds to a server. Failures are told, the rest goes on."""

    def __init__(self, desk: Desk, fail: Say, *, dry: bool) -> None:
        self.desk, self.fail, self.dry = desk, fail, dry
        self.counts: dict[str, int] = {}

    def settle(self, archive: Archive) -> None:
        """Policies first, then who has them."""
        steps = (("policies", self._policy), ("users", self._user), ("groups", self._group),
                 ("user_mappings", self._user_mapping), ("group_mappings", self._group_mapping),
                 ("svcaccts", self._account))  # fmt: skip
        for stem, act in steps:
            for name, document in archive.get(stem, {}).items():
                if stem == "policies" and name in BUILT_IN:
                    continue
                self.counts[stem] = self.counts.get(stem, 0) + 1
                if not self.dry:
                    self._try(f"{stem} {name}", act, name, mapping(document))

    def _try(
        self, what: str, act: Callable[[str, dict[str, object]], None], name: str, item: dict[str, object]
    ) -> None:
        try:
            act(name, item)
        except Error as error:
            already = isinstance(error, S3Error) and "Already" in error.code
            if not already:
                self.fail(f"{what}: {error}")

    def _policy(self, name: str, document: dict[str, object]) -> None:
        self.desk.admin.call("PUT", "add-canned-policy", {"name": name}, json.dumps(document).encode())

    def _user(self, name: str, user: dict[str, object]) -> None:
        status = str(user.get("status") or "enabled")
        document = {"secretKey": user.get("secretKey", ""), "status": "disabled" if status == "disabled" else "enabled"}
        self.desk.admin.call("PUT", "add-user", {"accessKey": name}, self.desk.seal(document))

    def _group(self, name: str, group: dict[str, object]) -> None:
        document = {"group": name, "members": texts(group.get("members")), "groupStatus": group.get("status", ""),
                    "isRemove": False}  # fmt: skip
        self.desk.admin.call("PUT", "update-group-members", None, json.dumps(document).encode())
        if group.get("status") == "disabled":
            self.desk.admin.call("PUT", "set-group-status", {"group": name, "status": "disabled"}, b"")

    def _attach(self, kind: str, name: str, mapped: dict[str, object]) -> None:
        policy = mapped.get("policy", "")
        names = [each for each in str(policy).split(",") if each]
        if names:
            sealed = self.desk.seal({"policies": names, kind: name})
            self.desk.admin.call("POST", "idp/builtin/policy/attach", None, sealed)

    def _user_mapping(self, name: str, mapped: dict[str, object]) -> None:
        self._attach("user", name, mapped)

    def _group_mapping(self, name: str, mapped: dict[str, object]) -> None:
        self._attach("group", name, mapped)

    def _account(self, name: str, account: dict[str, object]) -> None:
        with suppress(S3Error):
            self.desk.admin.call("GET", "info-service-account", {"accessKey": name})
            return  # an import that goes on
        members = {"targetUser": account.get("parent"), "accessKey": name, "secretKey": account.get("secretKey"),
                   "policy": account.get("sessionPolicy"), "name": account.get("name"),
                   "description": account.get("description"), "expiration": account.get("expiration")}  # fmt: skip
        sealed = self.desk.seal({key: value for key, value in members.items() if value})
        self.desk.admin.call("PUT", "add-service-account", None, sealed)
