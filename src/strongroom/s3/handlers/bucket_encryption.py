"""A bucket's encryption configuration (sse.md 8.1)."""

from strongroom.messages import Response
from strongroom.s3.domain.encryption import Kind, strip_arn
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.documents import document
from strongroom.s3.handlers.sealing import CONFIGURATION
from strongroom.s3.wire import bucket_encryption


async def get_encryption(call: Call) -> Response:
    """GetBucketEncryption."""
    record = await call.enter("s3:GetEncryptionConfiguration")
    stored = record.config.get(CONFIGURATION)
    if not stored:
        raise Refused("ServerSideEncryptionConfigurationNotFoundError")
    return Response(200, [("Content-Type", "application/xml")], stored)


async def put_encryption(call: Call) -> Response:
    """PutBucketEncryption: the keys it names must be usable now."""
    await call.enter("s3:PutEncryptionConfiguration")
    wanted = bucket_encryption.parse(await document(call, limit=2 * bucket_encryption.MAX_BODY))
    names = {strip_arn(rule.key_name) if rule.kind is Kind.KMS else "" for rule in wanted.rules}
    for name in sorted(names):
        await call.box.sealing.try_key(name)
    await call.box.store.configure(call.bucket, {CONFIGURATION: bucket_encryption.render(wanted)})
    return Response(200)


async def delete_encryption(call: Call) -> Response:
    """DeleteBucketEncryption; nothing to delete is no error."""
    await call.enter("s3:PutEncryptionConfiguration")
    await call.box.store.configure(call.bucket, {CONFIGURATION: None})
    return Response(204)
