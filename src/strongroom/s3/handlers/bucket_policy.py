"""A bucket's policy and whether it makes the bucket public (s3.md 8.4)."""

import json

from strongroom.errors import Malformed, TooLarge
from strongroom.messages import Response
from strongroom.s3.domain.policy.decide import is_public
from strongroom.s3.domain.policy.document import MAX_BYTES, parse_bucket_policy
from strongroom.s3.domain.policy.keys import refuse_unheard
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.documents import document
from strongroom.s3.wire import public_access, xml

POLICY = "policy"  # the bucket's document


async def get_policy(call: Call) -> Response:
    """GetBucketPolicy: as it was put."""
    record = await call.enter("s3:GetBucketPolicy")
    stored = record.config.get(POLICY)
    if not stored:
        raise Refused("NoSuchBucketPolicy")
    return Response(200, [("Content-Type", "application/json")], stored)


async def put_policy(call: Call) -> Response:
    """PutBucketPolicy."""
    record = await call.enter("s3:PutBucketPolicy")
    body = await document(call, limit=1024 * 1024)
    if len(body) > MAX_BYTES:
        raise Refused("PolicyTooLarge")
    _check_json(body)
    try:
        policy = parse_bucket_policy(body, call.bucket)
        refuse_unheard(policy, ("",))
    except TooLarge as error:
        raise Refused("PolicyTooLarge") from error
    except Malformed as error:
        raise Refused("MalformedPolicy", str(error)) from error
    blocks = public_access.read(record.config.get(public_access.NAME))
    if blocks.block_public_policy and is_public(policy):
        raise Refused("AccessDenied", "The public access block of this bucket forbids public policies.")
    await call.box.store.configure(call.bucket, {POLICY: body})
    return Response(204)


def _check_json(body: bytes) -> None:
    """Refuse what is no JSON object with a version, in the original's words."""
    try:
        policy = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("MalformedPolicy", "unexpected EOF") from error
    if not isinstance(policy, dict) or not policy.get("Version"):
        raise Refused("MalformedPolicy", "The policy must contain a valid version string")


async def delete_policy(call: Call) -> Response:
    """DeleteBucketPolicy; nothing to delete is no error."""
    await call.enter("s3:DeleteBucketPolicy")
    await call.box.store.configure(call.bucket, {POLICY: None})
    return Response(204)


async def get_policy_status(call: Call) -> Response:
    """GetBucketPolicyStatus."""
    record = await call.enter("s3:GetBucketPolicyStatus")
    stored = record.config.get(POLICY)
    public = bool(stored) and is_public(parse_bucket_policy(stored or b"", call.bucket))
    items: list[xml.Item] = [("IsPublic", public)]
    return Response(200, [("Content-Type", "application/xml")], xml.document("PolicyStatus", items))
