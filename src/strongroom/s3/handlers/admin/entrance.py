"""The admin API's entrance: route, signature, right, handler; errors as JSON (sse.md 12.1)."""

from collections.abc import Awaitable
from dataclasses import dataclass

from strongroom.errors import Denied, Error
from strongroom.messages import Body, Request, Response
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers import documents
from strongroom.s3.handlers.admin import (
    accounts,
    batch,
    bucket_archive,
    configuration,
    groups,
    iam_archive,
    key_usage,
    keys,
    policies,
    quota,
    server,
    streams,
    users,
)
from strongroom.s3.handlers.admin.desk import BODY_LIMIT, Desk, Errand, Errander
from strongroom.s3.handlers.call import Box, log
from strongroom.s3.wire import admin as wire
from strongroom.s3.wire import archives, sigv4
from strongroom.s3.wire.errors import HOST_ID, status_and_text


@dataclass(frozen=True, slots=True)
class Route:
    """One admin call.

    action  the right to make it; "": the handler decides itself
    needs   query arguments without which it is not served
    alone   it reads an IAM entry and stores another one: two at a time would lose what one of them did
    limit   bytes of its body
    """

    handle: Errander
    action: str = ""
    needs: tuple[str, ...] = ()
    alone: bool = False
    limit: int = BODY_LIMIT


_V3, _KMS = "/minio/admin/v3/", "/minio/kms/v1/"
ROUTES: dict[tuple[str, str], Route] = {
    ("PUT", _V3 + "add-user"): Route(users.add_user, "admin:CreateUser", ("accessKey",), alone=True),
    ("GET", _V3 + "list-users"): Route(users.list_users, "admin:ListUsers"),
    ("GET", _V3 + "user-info"): Route(users.user_info, "", ("accessKey",)),
    ("PUT", _V3 + "set-user-status"): Route(users.set_user_status, "", ("accessKey", "status"), alone=True),
    ("DELETE", _V3 + "remove-user"): Route(users.remove_user, "admin:DeleteUser", ("accessKey",), alone=True),
    ("PUT", _V3 + "update-group-members"): Route(groups.update_members, "", alone=True),
    ("GET", _V3 + "groups"): Route(groups.list_groups, "admin:ListGroups"),
    ("GET", _V3 + "group"): Route(groups.group_info, "admin:GetGroup", ("group",)),
    ("PUT", _V3 + "set-group-status"): Route(
        groups.set_group_status, "admin:EnableGroup", ("group", "status"), alone=True
    ),
    ("PUT", _V3 + "add-canned-policy"): Route(policies.add_policy, "admin:CreatePolicy", ("name",), alone=True),
    ("GET", _V3 + "list-canned-policies"): Route(policies.list_policies, "admin:ListUserPolicies"),
    ("GET", _V3 + "info-canned-policy"): Route(policies.policy_info, "admin:GetPolicy", ("name",)),
    ("DELETE", _V3 + "remove-canned-policy"): Route(
        policies.remove_policy, "admin:DeletePolicy", ("name",), alone=True
    ),
    ("POST", _V3 + "idp/builtin/policy/attach"): Route(policies.attach, "admin:AttachUserOrGroupPolicy", alone=True),
    ("POST", _V3 + "idp/builtin/policy/detach"): Route(policies.detach, "admin:UpdatePolicyAssociation", alone=True),
    ("GET", _V3 + "idp/builtin/policy-entities"): Route(policies.entities, "admin:ListGroups"),
    ("PUT", _V3 + "set-user-or-group-policy"): Route(policies.set_policy, "admin:AttachUserOrGroupPolicy", alone=True),
    ("PUT", _V3 + "add-service-account"): Route(accounts.add_account, alone=True),
    ("POST", _V3 + "update-service-account"): Route(accounts.update_account, "", ("accessKey",), alone=True),
    ("GET", _V3 + "info-service-account"): Route(accounts.account_info, "", ("accessKey",)),
    ("GET", _V3 + "list-service-accounts"): Route(accounts.list_accounts),
    ("DELETE", _V3 + "delete-service-account"): Route(accounts.delete_account, "", ("accessKey",), alone=True),
    ("GET", _V3 + "accountinfo"): Route(accounts.account_self),
    ("GET", _V3 + "info"): Route(server.info, "admin:ServerInfo"),
    ("PUT", _V3 + "set-bucket-quota"): Route(quota.set_quota, "admin:SetBucketQuota", ("bucket",)),
    ("GET", _V3 + "get-bucket-quota"): Route(quota.get_quota, "admin:GetBucketQuota", ("bucket",)),
    ("GET", _V3 + "datausageinfo"): Route(server.data_usage, "admin:DataUsageInfo"),
    ("GET", _V3 + "export-bucket-metadata"): Route(bucket_archive.export, "admin:ExportBucketMetadata"),
    ("PUT", _V3 + "import-bucket-metadata"): Route(
        bucket_archive.load, "admin:ImportBucketMetadata", limit=archives.LIMIT
    ),
    ("GET", _V3 + "export-iam"): Route(iam_archive.export, "admin:ExportIAM"),
    ("PUT", _V3 + "import-iam"): Route(iam_archive.load, "admin:ImportIAM", alone=True, limit=archives.LIMIT),
    ("PUT", _V3 + "import-iam-v2"): Route(iam_archive.load, "admin:ImportIAM", alone=True, limit=archives.LIMIT),
    ("GET", _V3 + "get-config-kv"): Route(configuration.get, "admin:ConfigUpdate"),
    ("GET", _V3 + "config"): Route(configuration.export, "admin:ConfigUpdate"),
    ("PUT", _V3 + "set-config-kv"): Route(configuration.change, "admin:ConfigUpdate"),
    ("PUT", _V3 + "config"): Route(configuration.change, "admin:ConfigUpdate"),
    ("DELETE", _V3 + "del-config-kv"): Route(configuration.change, "admin:ConfigUpdate"),
    ("GET", _V3 + "trace"): Route(streams.trace, "admin:ServerTrace"),
    ("GET", _V3 + "log"): Route(streams.logs, "admin:ConsoleLog"),
    ("POST", _V3 + "service"): Route(server.service, "", ("action",)),
    ("POST", _V3 + "start-job"): Route(batch.start, "admin:StartBatchJob"),
    ("GET", _V3 + "generate-job"): Route(batch.generate, "admin:StartBatchJob", ("jobType",)),
    ("GET", _V3 + "list-jobs"): Route(batch.list_jobs, "admin:ListBatchJobs"),
    ("GET", _V3 + "status-job"): Route(batch.status, "admin:ListBatchJobs", ("jobId",)),
    ("GET", _V3 + "describe-job"): Route(batch.describe, "admin:DescribeBatchJob", ("jobId",)),
    ("DELETE", _V3 + "cancel-job"): Route(batch.cancel, "admin:CancelBatchJob", ("id",)),
    ("POST", _V3 + "kms/status"): Route(keys.status, "admin:KMSKeyStatus"),
    ("POST", _V3 + "kms/key/create"): Route(keys.create, "admin:KMSCreateKey", ("key-id",)),
    ("GET", _V3 + "kms/key/status"): Route(keys.key_status, "admin:KMSKeyStatus"),
    ("GET", _KMS + "status"): Route(keys.status, "kms:Status"),
    ("GET", _KMS + "metrics"): Route(keys.metrics, "kms:Metrics"),
    ("GET", _KMS + "version"): Route(keys.version, "kms:Version"),
    ("GET", _KMS + "apis"): Route(keys.apis, "kms:API"),
    ("POST", _KMS + "key/create"): Route(keys.create, "kms:CreateKey", ("key-id",)),
    ("GET", _KMS + "key/list"): Route(keys.list_keys, "kms:ListKeys", ("pattern",)),
    ("GET", _KMS + "key/status"): Route(keys.key_status, "kms:KeyStatus"),
    ("GET", _KMS + "key/info"): Route(keys.describe, "kms:KeyStatus"),
    ("GET", _KMS + "key/usage"): Route(key_usage.usage, "kms:KeyStatus"),
    ("POST", _KMS + "key/rotate"): Route(keys.change("rotate"), "", ("key-id",)),
    ("POST", _KMS + "key/disable"): Route(keys.change("disable"), "", ("key-id",)),
    ("POST", _KMS + "key/enable"): Route(keys.change("enable"), "", ("key-id",)),
    ("POST", _KMS + "key/restore"): Route(keys.change("restore"), "", ("key-id",)),
    ("DELETE", _KMS + "key/delete"): Route(keys.delete, "", ("key-id",)),
}


class AdminEntrance:
    """A `Special` of handlers/entrance.py: answers everything under /minio/admin and /minio/kms."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __call__(self, box: Box, request: Request, body: Body, request_id: str) -> Awaitable[Response] | None:
        """Return the answer to be awaited, None for other paths."""
        if not request.path.startswith((wire.ADMIN, wire.KMS)):
            return None
        return self._noted(request, body, request_id)

    async def _noted(self, request: Request, body: Body, request_id: str) -> Response:
        """Answer, and have the audit note it."""
        who: list[str] = []
        response = await self._answer(request, body, request_id, who)
        if request.method != "GET" or response.status >= 400:
            query = {name: sigv4.NOT_UTF8.sub("\ufffd", value) for name, value in sigv4.parse_query(request.query)}
            self._desk.note(request, request_id, who[0] if who else "", query, response.status)
        return response

    async def _answer(self, request: Request, body: Body, request_id: str, who: list[str]) -> Response:
        pairs = sigv4.parse_query(request.query)
        query: dict[str, str] = {}
        for name, value in pairs:
            query.setdefault(name, value)
        route = ROUTES.get((request.method, request.path.rstrip("/")))
        if route is None or any(name not in query for name in route.needs):
            route = None
            if request.path.startswith(wire.KMS):
                text = f"An unsupported API call for method: {request.method} at '{request.path}'"
                raise Refused("BadRequest", text, early=True)
        try:
            if route is None:
                raise wire.mismatch(request.path)
            return await self._run(route, request, body, request_id, pairs, who)
        except Error as error:
            refused = wire.to_refusal(error)
            if int(refused.status or status_and_text(refused)[0]) >= 500:
                log.error("admin %s %s: %s %s", request.method, request.path, refused.code, error)
            return wire.render_error(refused, request.path, request_id, HOST_ID)

    async def _run(
        self, route: Route, request: Request, body: Body, request_id: str, pairs: sigv4.Pairs, who: list[str]
    ) -> Response:
        signed = self._desk.box.verifier.verify(request, pairs, self._desk.box.now(), any_region=True)
        if signed.principal.credential is None or signed.presigned or not signed.key:
            raise Denied("admin calls are signed in their headers, by SigV4: SigV2 covers neither arguments nor body")
        who.append(signed.principal.name)
        if any(sigv4.NOT_UTF8.search(part) for pair in pairs for part in pair):
            raise Refused("InvalidRequest", "The arguments of admin calls must be UTF-8.")
        content = await body.read(route.limit)
        documents.check_payload(signed.payload, content)
        query = dict(reversed(pairs))  # the first of a repeated name
        errand = Errand(self._desk, request, body, pairs, query, signed.principal, request_id, content)
        if route.action:
            errand.authorise(route.action)  # of key calls the first phase, on no key; the handler asks for the key
        if not route.alone:
            return await route.handle(errand)
        async with self._desk.iam.alone():
            return await route.handle(errand)
