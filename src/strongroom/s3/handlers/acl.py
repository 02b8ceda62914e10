"""ACLs, as far as there are any: the owner has full control (s3.md 8.8)."""

from strongroom.messages import Response
from strongroom.s3.domain.names import check_key
from strongroom.s3.domain.records import BucketRecord
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import OWNER_ID, OWNER_NAME, Call
from strongroom.s3.handlers.documents import document
from strongroom.s3.handlers.get import find
from strongroom.s3.wire import xml

CANNED = frozenset(
    {
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
        "log-delivery-write",
    }
)
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def _owner_only() -> bytes:
    owner = f"<ID>{OWNER_ID}</ID><DisplayName>{OWNER_NAME}</DisplayName>"
    grantee = f'<Grantee xmlns:xsi="{_XSI}" xsi:type="CanonicalUser"><Type>CanonicalUser</Type>{owner}</Grantee>'
    grant = f"<Grant>{grantee}<Permission>FULL_CONTROL</Permission></Grant>"
    return xml.wrap("AccessControlPolicy", f"<Owner>{owner}</Owner><AccessControlList>{grant}</AccessControlList>")


async def _address(call: Call, verb: str) -> BucketRecord:
    if not call.key:
        return await call.enter(f"s3:{verb}BucketAcl")
    check_key(call.key)
    record = await call.enter(f"s3:{verb}ObjectAcl")
    await find(call, record, call.key, call.args.get("versionId"))
    return record


async def get_acl(call: Call) -> Response:
    """GetBucketAcl and GetObjectAcl."""
    await _address(call, "Get")
    return Response(200, [("Content-Type", "application/xml")], _owner_only())


async def put_acl(call: Call) -> Response:
    """PutBucketAcl and PutObjectAcl: `private`, or a document that grants the owner alone."""
    await _address(call, "Put")
    canned = call.headers.get("x-amz-acl", "")
    if canned:
        if canned not in CANNED:
            raise Refused("InvalidArgument", f"{canned} is no canned ACL")
        if canned not in ("private", "bucket-owner-full-control"):
            raise Refused("NotImplemented")
        return Response(200)
    if any(name.startswith("x-amz-grant-") for name in call.headers):
        raise Refused("NotImplemented")
    node = xml.parse(await document(call), "AccessControlPolicy", code="MalformedACLError")
    grants = [grant for one in node.all("AccessControlList") for grant in one.all("Grant")]
    if len(grants) > 1 or any(grant.value("Permission") != "FULL_CONTROL" for grant in grants):
        raise Refused("NotImplemented")
    return Response(200)
