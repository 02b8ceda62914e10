"""Bucket configurations that are checked, stored and given back: one table (s3.md 1.1, 8.5-8.7)."""

from collections.abc import Callable
from dataclasses import dataclass

from strongroom.messages import Response
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.handlers.call import Call
from strongroom.s3.handlers.documents import document
from strongroom.s3.wire import cors_xml, lifecycle_xml, public_access, xml

_XML = [("Content-Type", "application/xml")]


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration document.

    name      in the bucket's configuration
    absent    error code of a GET without one, or the document that is answered then
    check     returns the body as it is stored; raises Refused
    """

    name: str
    get_action: str
    put_action: str
    absent: str | bytes
    check: Callable[[bytes], bytes]
    digest_required: bool = False

    async def get(self, call: Call) -> Response:
        """Answer the stored document."""
        record = await call.enter(self.get_action)
        stored = record.config.get(self.name)
        if stored is None and isinstance(self.absent, str):
            raise Refused(self.absent)
        return Response(200, _XML, stored if stored is not None else self.absent)  # type: ignore[arg-type]

    async def put(self, call: Call) -> Response:
        """Check and store a document."""
        await call.enter(self.put_action)
        body = await document(call, digest_required=self.digest_required)
        await call.box.store.configure(call.bucket, {self.name: self.check(body)})
        return Response(200)

    async def delete(self, call: Call) -> Response:
        """Forget the document; nothing to delete is no error."""
        await call.enter(self.put_action)
        await call.box.store.configure(call.bucket, {self.name: None})
        return Response(204)


def _cors(body: bytes) -> bytes:
    cors_xml.parse(body)
    return body


def _logging(body: bytes) -> bytes:
    xml.parse(body, "BucketLoggingStatus", detail=False)
    return body


def _payment(body: bytes) -> bytes:
    if xml.parse(body, "RequestPaymentConfiguration", detail=False).value("Payer") not in ("BucketOwner", "Requester"):
        raise Refused("MalformedXML")
    return body


OWNERSHIP = ("BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter")


def ownership_controls(setting: str) -> bytes:
    """Return the document of an ownership setting; raise Refused for one that is none."""
    if setting not in OWNERSHIP:
        raise Refused("InvalidArgument", "Invalid x-amz-object-ownership header")
    return xml.document("OwnershipControls", [("Rule", [("ObjectOwnership", setting)])])


def _ownership(body: bytes) -> bytes:
    rules = list(xml.parse(body, "OwnershipControls", detail=False).all("Rule"))
    if len(rules) != 1 or rules[0].value("ObjectOwnership") not in OWNERSHIP:
        raise Refused("MalformedXML")
    return ownership_controls(rules[0].value("ObjectOwnership"))


LIFECYCLE = Document(
    "lifecycle",
    "s3:GetLifecycleConfiguration",
    "s3:PutLifecycleConfiguration",
    "NoSuchLifecycleConfiguration",
    lifecycle_xml.named,
    digest_required=True,
)
CORS = Document("cors", "s3:GetBucketCORS", "s3:PutBucketCORS", "NoSuchCORSConfiguration", _cors)
NOTIFICATION = Document(
    "notification",
    "s3:GetBucketNotification",
    "s3:PutBucketNotification",
    xml.wrap("NotificationConfiguration", ""),
    bytes,
)
LOGGING = Document(
    "logging", "s3:GetBucketLogging", "s3:PutBucketLogging", xml.wrap("BucketLoggingStatus", ""), _logging
)
PAYMENT = Document(
    "request-payment",
    "s3:GetBucketRequestPayment",
    "s3:PutBucketRequestPayment",
    xml.document("RequestPaymentConfiguration", [("Payer", "BucketOwner")]),
    _payment,
)
PUBLIC_ACCESS = Document(
    public_access.NAME,
    "s3:GetBucketPublicAccessBlock",
    "s3:PutBucketPublicAccessBlock",
    "NoSuchPublicAccessBlockConfiguration",
    public_access.render,
)
OWNERSHIP_CONTROLS = Document(
    "ownership",
    "s3:GetBucketOwnershipControls",
    "s3:PutBucketOwnershipControls",
    "OwnershipControlsNotFoundError",
    _ownership,
)


async def get_accelerate(call: Call) -> Response:
    """GetBucketAccelerateConfiguration: there is none."""
    await call.enter("s3:GetAccelerateConfiguration")
    return Response(200, _XML, xml.wrap("AccelerateConfiguration", ""))


async def get_website(call: Call) -> Response:
    """GetBucketWebsite: there is none."""
    await call.enter("s3:GetBucketWebsite")
    raise Refused("NoSuchWebsiteConfiguration")


async def delete_website(call: Call) -> Response:
    """DeleteBucketWebsite: there is none."""
    await call.enter("s3:DeleteBucketWebsite")
    return Response(204)


async def get_replication(call: Call) -> Response:
    """GetBucketReplication: there is none."""
    await call.enter("s3:GetReplicationConfiguration")
    raise Refused("ReplicationConfigurationNotFoundError")


async def put_replication(call: Call) -> Response:
    """PutBucketReplication: we do not replicate."""
    record = await call.enter("s3:PutReplicationConfiguration")
    if record.versioning != "Enabled":
        text = "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
        raise Refused("InvalidRequest", text)
    raise Refused("NotImplemented")


async def delete_replication(call: Call) -> Response:
    """DeleteBucketReplication: there is none."""
    await call.enter("s3:PutReplicationConfiguration")
    return Response(204)
