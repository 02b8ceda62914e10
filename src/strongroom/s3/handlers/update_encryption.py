"""UpdateObjectEncryption: an object's key is sealed under another KMS key, without touching its bytes.

SSE-S3 becomes SSE-KMS, or the key of an SSE-KMS object changes; content, ETag, version and time stay. The ETag of a
former SSE-S3 object stays its MD5.
"""

import dataclasses
import re

from msgspec.structs import replace

from strongroom.errors import Conflict
from strongroom.messages import Response
from strongroom.s3.domain.encryption import Encryption, Kind, strip_arn
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.object_record import pack_meta
from strongroom.s3.domain.records import ObjectVersion
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.domain.seal_metadata import label
from strongroom.s3.domain.sealing import reseal
from strongroom.s3.handlers.call import Call, Source
from strongroom.s3.handlers.documents import SMALL, document
from strongroom.s3.handlers.get import find, open_found, reveal
from strongroom.s3.handlers.tagging import version_headers
from strongroom.s3.wire import xml

_AWS_ARN = re.compile(r"[a-z0-9-]+:\d{12}:key/")  # what SDKs insist on: region, account and `key/` before the name


def _wanted(body: bytes) -> Encryption:
    kms = xml.parse(body, "ObjectEncryption", detail=False).first("SSE-KMS")
    if kms is None or not kms.value("KMSKeyArn"):
        raise Refused("MalformedXML")
    name = strip_arn(kms.value("KMSKeyArn").strip())
    if found := _AWS_ARN.match(name):  # looked for at its start only: anywhere, a long name would take hours
        name = name[found.end() :]
    shared = kms.value("BucketKeyEnabled").strip().lower() == "true"
    return Encryption(Kind.KMS, name, bucket_key=shared)


async def update_encryption(call: Call) -> Response:
    """Seal the object's key anew; the bytes stay where they are."""
    check_key(call.key)
    want = _wanted(await document(call, limit=SMALL))
    record = await call.enter("s3:UpdateObjectEncryption")
    found = await reveal(call, record, await find(call, record, call.key, call.args.get("versionId")))
    if found.info.kind not in (Kind.S3, Kind.KMS) or found.info.dual:
        text = "Only the encryption of SSE-S3 and SSE-KMS objects can be changed in place; copy the object instead."
        raise Refused("InvalidRequest", text)
    seal = await open_found(call, found)
    assert seal is not None
    keys = call.box.sealing.keys
    again = await reseal(seal, want, call.bucket, call.key, keys, bucket_keys=want.bucket_key is True)
    meta = pack_meta(replace(found.meta, seal=dict(again.metadata)))

    def change(version: ObjectVersion) -> ObjectVersion:
        if version.meta != found.version.meta:
            raise Conflict("the object was replaced meanwhile")
        return dataclasses.replace(version, meta=meta, sealed_by=label(again.info))

    version = await call.box.store.amend(call.bucket, call.key, found.version.version_id, change)
    call.used, call.source = again.info, Source(call.bucket, call.key, found.info)
    return Response(200, version_headers(record, version))
