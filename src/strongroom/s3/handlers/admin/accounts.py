"""Service accounts, also called access keys (madmin's add/update/info/list/delete-service-account)."""

import json
import secrets
import string
from typing import Any

import msgspec

from strongroom.errors import Denied, Malformed
from strongroom.messages import Response
from strongroom.s3.domain.iam.directory import NoSuchAccount, NoSuchUser
from strongroom.s3.domain.iam.records import Account
from strongroom.s3.domain.policy.document import parse_identity_policy
from strongroom.s3.domain.policy.keys import refuse_unheard
from strongroom.s3.handlers.admin.desk import Errand, opt
from strongroom.s3.handlers.admin.users import check_access_key, check_secret
from strongroom.s3.handlers.call import Ask
from strongroom.s3.wire.admin import moment_of, parse_object, refused, render_json, rfc3339, text_of, to_json

_LETTERS = string.ascii_uppercase + string.digits
NO_EXPIRY = "1970-01-01T00:00:00Z"


def new_access_key() -> str:
    """Return a random access key of 20 characters."""
    return "".join(secrets.choice(_LETTERS) for _ in range(20))


def new_secret() -> str:
    """Return a random secret of 40 characters."""
    return secrets.token_urlsafe(30)


def session_policy(value: object) -> str:
    """Return a session policy's text ("" for none); raise the refusal of one that cannot be read."""
    if value in (None, "", {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    try:
        refuse_unheard(parse_identity_policy(text.encode()))
    except Malformed as error:
        raise refused("XMinioMalformedIAMPolicy", str(error)) from error
    return text


def _expiry(errand: Errand, record: dict[str, Any], name: str) -> int | None:
    text = text_of(record, name)
    if not text:
        return None
    if text == NO_EXPIRY:
        return 0
    moment = moment_of(text)
    if moment is None or moment < errand.desk.box.now():
        raise refused("XMinioAdminInvalidArgument", "the expiry must be a time in the future, as 2030-01-02T15:04:05Z")
    return int(moment)


def _owner(errand: Errand) -> str:
    """Return the user that the caller is or acts for."""
    caller = errand.principal.credential
    return (caller.owner or caller.access_key) if caller else ""


def _narrowed(errand: Errand) -> bool:
    """Say whether the caller has a policy of its own (a session's, an account's): what its user may do to its own
    accounts it may only when that policy says so, else it could give itself all that its user has."""
    account = errand.directory.accounts.get(errand.principal.name)
    return account is not None and bool(account.policy)


def _refuse_roots(errand: Errand, parent: str) -> None:
    """Raise Denied for an account of the root user, whose owner may do everything, unless root itself asks."""
    root = errand.directory.root.access_key
    if parent == root and _owner(errand) != root:
        raise Denied("only the root user makes and changes its accounts")


async def add_account(errand: Errand) -> Response:
    """Make an account for the caller, or with the right to do so for another user."""
    record = parse_object(await errand.opened())
    owner = _owner(errand)
    parent = text_of(record, "targetUser") or owner
    if parent != owner or _narrowed(errand):
        errand.authorise("admin:CreateServiceAccount")
    _refuse_roots(errand, parent)
    root = errand.directory.root.access_key
    if parent != root and parent not in errand.directory.users:
        raise NoSuchUser(parent)
    access_key = check_access_key(text_of(record, "accessKey") or new_access_key())
    if access_key in {root, *errand.directory.users, *errand.directory.accounts}:
        raise refused("XMinioAdminInvalidAccessKey", "The access key is taken; choose another.")
    account = Account(
        secret=check_secret(text_of(record, "secretKey") or new_secret()),
        parent=parent,
        policy=session_policy(record.get("policy")),
        expires=_expiry(errand, record, "expiration") or 0,
        name=text_of(record, "name"),
        description=text_of(record, "description"),
    )
    await errand.desk.iam.save("accounts", access_key, account)
    made = {"accessKey": access_key, "secretKey": account.secret, "expiration": _shown_expiry(account)}
    return await errand.sealed(to_json({"credentials": made}))


def _shown_expiry(account: Account) -> str:
    return rfc3339(account.expires).replace(".000000", "") if account.expires else NO_EXPIRY


def _find(errand: Errand, action: str) -> tuple[str, Account]:
    """Return an account that is the caller's own, or any with the right for action."""
    access_key = errand.argument("accessKey")
    account = errand.directory.accounts.get(access_key)
    own = account is not None and account.parent == _owner(errand) and not _narrowed(errand)
    if not own:
        errand.authorise(action)
    if account is None or account.token:
        raise NoSuchAccount(access_key)
    return access_key, account


async def update_account(errand: Errand) -> Response:
    """Change secret, status, policy, name, description or expiry."""
    access_key, account = _find(errand, "admin:UpdateServiceAccount")
    _refuse_roots(errand, account.parent)
    record = parse_object(await errand.opened())
    changes: dict[str, Any] = {}
    if secret := text_of(record, "newSecretKey"):
        changes["secret"] = check_secret(secret)
    if status := text_of(record, "newStatus"):
        if status not in {"on", "off", "enabled", "disabled"}:
            raise refused("XMinioAdminInvalidArgument")
        changes["enabled"] = status in {"on", "enabled"}
    if record.get("newPolicy") is not None:
        changes["policy"] = session_policy(record["newPolicy"])
    for member in ("name", "description"):
        if value := text_of(record, f"new{member.capitalize()}"):
            changes[member] = value
    expires = _expiry(errand, record, "newExpiration")
    if expires is not None:
        changes["expires"] = expires
    await errand.desk.iam.save("accounts", access_key, msgspec.structs.replace(account, **changes))
    return Response(204)


async def account_info(errand: Errand) -> Response:
    """Return one account, in a container."""
    _, account = _find(errand, "admin:ListServiceAccounts")
    policy = json.loads(account.policy) if account.policy else None
    return await errand.sealed(
        to_json(
            {
                "parentUser": account.parent,
                "accountStatus": "on" if account.enabled else "off",
                "impliedPolicy": policy is None,
                "policy": json.dumps(policy) if policy else "",
                **opt(name=account.name, description=account.description),
                "expiration": _shown_expiry(account),
            }
        )
    )


async def list_accounts(errand: Errand) -> Response:
    """Return the accounts of a user (the caller without `user`), in a container."""
    own = _owner(errand)
    user = errand.query.get("user") or own
    if user != own:
        errand.authorise("admin:ListServiceAccounts")
    found = [
        {
            "parentUser": account.parent,
            "accountStatus": "on" if account.enabled else "off",
            "impliedPolicy": not account.policy,
            "accessKey": access_key,
            **opt(name=account.name, description=account.description),
            "expiration": _shown_expiry(account),
        }
        for access_key, account in sorted(errand.directory.accounts.items())
        if account.parent == user and not account.token
    ]
    return await errand.sealed(to_json({"accounts": found}))


async def delete_account(errand: Errand) -> Response:
    """Remove an account."""
    access_key, _ = _find(errand, "admin:RemoveServiceAccount")
    await errand.desk.iam.remove("accounts", access_key)
    return Response(204)


async def account_self(errand: Errand) -> Response:
    """Return what the caller is: its name, its user's policy, and the buckets that it may list (`accountinfo`)."""
    credential = errand.principal.credential
    if credential is None:
        raise Denied("anonymous")
    owner = credential.owner or credential.access_key
    names = ["consoleAdmin"] if credential.root else list(errand.directory.policy_names(owner))
    statements: list[Any] = []
    for name in names:
        document = json.loads(errand.directory.documents().get(name, '{"Statement":[]}'))
        parts = document["Statement"]
        statements += parts if isinstance(parts, list) else [parts]
    access = errand.desk.box.access
    circumstances = errand.circumstances
    everything = access.allows(errand.principal, Ask("s3:ListAllMyBuckets", conditions=circumstances))
    record = {
        "AccountName": credential.access_key,
        "Server": {"Type": "Erasure"},
        "Policy": {"Version": "2012-10-17", "Statement": statements},
        "Buckets": [
            {"name": bucket.name, "size": 0, "objects": 0, "created": rfc3339(bucket.created / 1e9)}
            for bucket in await errand.desk.box.store.buckets()
            if everything
            or access.allows(
                errand.principal, Ask("s3:ListBucket", bucket.name, record=bucket, conditions=circumstances)
            )
        ],
    }
    return render_json(record)
