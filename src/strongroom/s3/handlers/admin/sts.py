"""STS: a signed user takes a session, which may do at most what the user may (AssumeRole)."""

import hashlib
import secrets
from collections.abc import Awaitable

from strongroom.errors import Denied, Error
from strongroom.messages import Body, Request, Response
from strongroom.s3.domain.iam.records import Account
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.admin.accounts import new_access_key, new_secret, session_policy
from strongroom.s3.handlers.admin.desk import Desk
from strongroom.s3.handlers.call import Box
from strongroom.s3.handlers.documents import check_payload
from strongroom.s3.wire import sigv4, sts
from strongroom.s3.wire.admin import rfc3339, to_refusal

FORM = "application/x-www-form-urlencoded"
BODY_LIMIT = 64 * 1024
OTHERS = frozenset(
    {
        "AssumeRoleWithWebIdentity", "AssumeRoleWithClientGrants", "AssumeRoleWithLDAPIdentity",
        "AssumeRoleWithCertificate", "AssumeRoleWithCustomToken", "AssumeRoleWithSAML",
    }
)  # fmt: skip


class StsEntrance:
    """A `Special` of handlers/entrance.py: answers `POST /` with a form."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __call__(self, box: Box, request: Request, body: Body, request_id: str) -> Awaitable[Response] | None:
        """Return the answer to be awaited, None for other requests."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method != "POST" or request.path != "/" or kind != FORM:
            return None
        return self._answer(request, body, request_id)

    async def _answer(self, request: Request, body: Body, request_id: str) -> Response:
        try:
            return await self._assume(request, await body.read(BODY_LIMIT), request_id)
        except Error as error:
            return sts.render_error(to_refusal(error), request_id)

    async def _assume(self, request: Request, content: bytes, request_id: str) -> Response:
        form = sts.fields(content)
        action = form.get("Action", "")
        if action in OTHERS:
            raise Refused("NotImplemented", f"{action} is not supported; use AssumeRole")
        if action != "AssumeRole":
            raise Refused("InvalidAction", f"unsupported action {action!r}", status=400)
        box = self._desk.box
        pairs = sigv4.parse_query(request.query)
        digest = hashlib.sha256(content).hexdigest()
        signed = box.verifier.verify(request, pairs, box.now(), any_region=True, body_hash=digest)
        check_payload(signed.payload, content)
        credential = signed.principal.credential
        if not signed.key or signed.presigned:
            raise Denied("a session is asked for with SigV4 in the headers: SigV2 does not cover the form")
        if credential is None or credential.token:
            raise Denied("a session cannot take a session; sign with a user's or account's key")
        wish = sts.parse_assume_role(form)
        return sts.render_session(await self._make(credential.access_key, wish), request_id)

    async def _make(self, access_key: str, wish: sts.AssumeRole) -> sts.Session:
        directory = self._desk.directory
        parent = directory.accounts.get(access_key)
        if parent is not None and parent.policy and wish.policy:
            raise Denied("an account with a policy of its own cannot narrow it again; leave Policy out")
        account = Account(
            secret=new_secret(),
            parent=parent.parent if parent else access_key,
            token=secrets.token_urlsafe(48),
            policy=session_policy(wish.policy) or (parent.policy if parent else ""),
            expires=int(self._desk.box.now()) + wish.seconds,
        )
        await self._desk.iam.forget_expired()
        name = new_access_key()
        await self._desk.iam.save("accounts", name, account)
        expires = rfc3339(account.expires).replace(".000000", "")
        return sts.Session(name, account.secret, account.token, expires, account.parent)
