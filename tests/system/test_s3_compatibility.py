"""Every S3 operation in every encryption mode, as boto3 calls it; docs/reference/compatibility.md is what this finds.

`WRITE_COMPATIBILITY=1 pytest tests/system/test_s3_compatibility.py` writes the page's table again.
"""

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
import urllib3
from botocore import xform_name
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from system.test_s3_boto3 import KMS, ROOT, Served
from system.test_s3_tls import certificate

from strongroom.s3 import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "compatibility.md"
OPERATIONS, LACKING = "operations", "lacking"  # the parts of the page between `<!-- NAME: start -->` and `end`
KEY = os.urandom(32)
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
MD5 = base64.b64encode(hashlib.md5(KEY, usedforsecurity=False).digest()).decode()
ENCODED = {**CUSTOMER, "SSECustomerKey": base64.b64encode(KEY).decode(), "SSECustomerKeyMD5": MD5}  # boto3 forgets one
MODES = {
    "plain": ({}, {}),
    "SSE-S3": ({"ServerSideEncryption": "AES256"}, {}),
    "SSE-KMS": ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "my-key"}, {}),
    "DSSE-KMS": ({"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "my-key"}, {}),
    "SSE-C": (CUSTOMER, CUSTOMER),
}
BUCKET, DATA = "compat", b"0123456789" * 1000


class Desk:
    """A client, and one encryption mode: `write` and `read` are its arguments."""

    def __init__(self, s3, write, read):
        self.s3, self.write, self.read = s3, write, read
        self.source = {f"CopySource{name}": value for name, value in read.items()}

    def put(self, key="k"):
        return self.s3.put_object(Bucket=BUCKET, Key=key, Body=DATA, **self.write)

    def got(self, key="k", **more):
        return self.s3.get_object(Bucket=BUCKET, Key=key, **self.read, **more)["Body"].read()

    def upload(self, key="m"):
        return self.s3.create_multipart_upload(Bucket=BUCKET, Key=key, **self.write)["UploadId"]

    def part(self, upload, key="m"):
        answer = self.s3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=DATA, **self.read)
        return {"Parts": [{"PartNumber": 1, "ETag": answer["ETag"]}]}


def same(found, wanted=True):
    assert found == wanted


def complete(d):
    upload = d.upload()
    parts = d.part(upload)
    d.s3.complete_multipart_upload(Bucket=BUCKET, Key="m", UploadId=upload, MultipartUpload=parts, **d.read)
    same(d.got("m"), DATA)


def copied_part(d):
    d.put()
    upload = d.upload()
    source = {"Bucket": BUCKET, "Key": "k"}
    answer = d.s3.upload_part_copy(
        Bucket=BUCKET, Key="m", UploadId=upload, PartNumber=1, CopySource=source, **d.source, **d.read
    )
    parts = {"Parts": [{"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}]}
    d.s3.complete_multipart_upload(Bucket=BUCKET, Key="m", UploadId=upload, MultipartUpload=parts, **d.read)
    same(d.got("m"), DATA)


def copied(d):
    d.put()
    d.s3.copy_object(Bucket=BUCKET, Key="c", CopySource={"Bucket": BUCKET, "Key": "k"}, **d.source, **d.write)
    same(d.got("c"), DATA)


def aborted(d):
    d.s3.abort_multipart_upload(Bucket=BUCKET, Key="m", UploadId=d.upload())


def listed_parts(d):
    upload = d.upload()
    d.part(upload)
    same(len(d.s3.list_parts(Bucket=BUCKET, Key="m", UploadId=upload)["Parts"]), 1)


def put_and_got(d):
    d.put()
    same(d.got(), DATA)
    same(d.got(Range="bytes=5-9"), DATA[5:10])


def headed(d):
    etag = d.put()["ETag"]
    same(d.s3.head_object(Bucket=BUCKET, Key="k", **d.read)["ETag"], etag)


def deleted(d):
    d.put()
    d.s3.delete_object(Bucket=BUCKET, Key="k")


def many_deleted(d):
    d.put()
    same(len(d.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "k"}]})["Deleted"]), 1)


def attributes(d):
    d.put()
    names = ["ETag", "ObjectSize"]
    found = d.s3.get_object_attributes(Bucket=BUCKET, Key="k", ObjectAttributes=names, **(ENCODED if d.read else {}))
    same(found["ObjectSize"], len(DATA))


def tagged(d):
    d.put()
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    d.s3.put_object_tagging(Bucket=BUCKET, Key="k", Tagging=tags)
    same(d.s3.get_object_tagging(Bucket=BUCKET, Key="k")["TagSet"], tags["TagSet"])


def untagged(d):
    d.put()
    d.s3.delete_object_tagging(Bucket=BUCKET, Key="k")


def held(d):
    d.s3.put_object(Bucket="compat-lock", Key="k", Body=DATA, **d.write)
    d.s3.put_object_legal_hold(Bucket="compat-lock", Key="k", LegalHold={"Status": "ON"})
    same(d.s3.get_object_legal_hold(Bucket="compat-lock", Key="k")["LegalHold"]["Status"], "ON")


def retained(d):
    d.s3.put_object(Bucket="compat-lock", Key="k", Body=DATA, **d.write)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": "2099-01-01T00:00:00Z"}
    d.s3.put_object_retention(Bucket="compat-lock", Key="k", Retention=retention)
    same(d.s3.get_object_retention(Bucket="compat-lock", Key="k")["Retention"]["Mode"], "GOVERNANCE")


def listing(method, name):
    def operation(d):
        etag = d.put()["ETag"]
        same(etag in [one["ETag"] for one in getattr(d.s3, method)(Bucket=BUCKET)[name]])

    return operation


def uploads(d):
    upload = d.upload()
    found = d.s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    same(upload in [one["UploadId"] for one in found])


def acl(d):
    d.put()
    d.s3.put_object_acl(Bucket=BUCKET, Key="k", ACL="private")
    same(len(d.s3.get_object_acl(Bucket=BUCKET, Key="k")["Grants"]), 1)


def encryption_updated(d):
    d.put()
    wanted = {"SSEKMS": {"KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/my-key"}}
    d.s3.update_object_encryption(Bucket=BUCKET, Key="k", ObjectEncryption=wanted)
    same(d.s3.head_object(Bucket=BUCKET, Key="k")["ServerSideEncryption"], "aws:kms")
    same(d.got(), DATA)


OBJECTS = {
    "AbortMultipartUpload": aborted,
    "CompleteMultipartUpload": complete,
    "CopyObject": copied,
    "CreateMultipartUpload": lambda d: d.upload(),
    "DeleteObject": deleted,
    "DeleteObjectTagging": untagged,
    "DeleteObjects": many_deleted,
    "GetObject": put_and_got,
    "GetObjectAcl": acl,
    "GetObjectAttributes": attributes,
    "GetObjectLegalHold": held,
    "GetObjectRetention": retained,
    "GetObjectTagging": tagged,
    "HeadObject": headed,
    "ListMultipartUploads": uploads,
    "ListObjectVersions": listing("list_object_versions", "Versions"),
    "ListObjects": listing("list_objects", "Contents"),
    "ListObjectsV2": listing("list_objects_v2", "Contents"),
    "ListParts": listed_parts,
    "PutObject": put_and_got,
    "PutObjectAcl": acl,
    "PutObjectLegalHold": held,
    "PutObjectRetention": retained,
    "PutObjectTagging": tagged,
    "UpdateObjectEncryption": encryption_updated,
    "UploadPart": listed_parts,
    "UploadPartCopy": copied_part,
}
RULE = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
STATEMENT = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]})
BLOCK = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}
LIFECYCLE = {"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": 9}}]}
CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
OWNERSHIP = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
LOCK = {"ObjectLockEnabled": "Enabled"}
BUCKETS = {
    "CreateBucket": lambda s: s.create_bucket(Bucket="compat-new"),
    "DeleteBucket": lambda s: s.delete_bucket(Bucket="compat-new"),
    "HeadBucket": lambda s: s.head_bucket(Bucket=BUCKET),
    "ListBuckets": lambda s: same(BUCKET in [one["Name"] for one in s.list_buckets()["Buckets"]]),
    "GetBucketLocation": lambda s: s.get_bucket_location(Bucket=BUCKET),
    "PutBucketVersioning": lambda s: s.put_bucket_versioning(
        Bucket="compat-lock", VersioningConfiguration={"Status": "Enabled"}
    ),
    "GetBucketVersioning": lambda s: same(s.get_bucket_versioning(Bucket="compat-lock")["Status"], "Enabled"),
    "PutBucketEncryption": lambda s: s.put_bucket_encryption(
        Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [RULE]}
    ),
    "GetBucketEncryption": lambda s: s.get_bucket_encryption(Bucket=BUCKET),
    "DeleteBucketEncryption": lambda s: s.delete_bucket_encryption(Bucket=BUCKET),
    "PutBucketPolicy": lambda s: s.put_bucket_policy(Bucket=BUCKET, Policy=POLICY),
    "GetBucketPolicy": lambda s: same(s.get_bucket_policy(Bucket=BUCKET)["Policy"], POLICY),
    "GetBucketPolicyStatus": lambda s: same(
        s.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"]["IsPublic"], True
    ),
    "DeleteBucketPolicy": lambda s: s.delete_bucket_policy(Bucket=BUCKET),
    "PutBucketTagging": lambda s: s.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}),
    "GetBucketTagging": lambda s: s.get_bucket_tagging(Bucket=BUCKET),
    "DeleteBucketTagging": lambda s: s.delete_bucket_tagging(Bucket=BUCKET),
    "PutBucketLifecycleConfiguration": lambda s: s.put_bucket_lifecycle_configuration(
        Bucket=BUCKET, LifecycleConfiguration=LIFECYCLE
    ),
    "GetBucketLifecycleConfiguration": lambda s: same(
        s.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"], LIFECYCLE["Rules"]
    ),
    "DeleteBucketLifecycle": lambda s: s.delete_bucket_lifecycle(Bucket=BUCKET),
    "PutBucketCors": lambda s: s.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=CORS),
    "GetBucketCors": lambda s: same(s.get_bucket_cors(Bucket=BUCKET)["CORSRules"], CORS["CORSRules"]),
    "DeleteBucketCors": lambda s: s.delete_bucket_cors(Bucket=BUCKET),
    "PutObjectLockConfiguration": lambda s: s.put_object_lock_configuration(
        Bucket="compat-lock", ObjectLockConfiguration=LOCK
    ),
    "GetObjectLockConfiguration": lambda s: s.get_object_lock_configuration(Bucket="compat-lock"),
    "PutPublicAccessBlock": lambda s: s.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=BLOCK),
    "GetPublicAccessBlock": lambda s: same(
        s.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"], BLOCK
    ),
    "DeletePublicAccessBlock": lambda s: s.delete_public_access_block(Bucket=BUCKET),
    "PutBucketOwnershipControls": lambda s: s.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=OWNERSHIP),
    "GetBucketOwnershipControls": lambda s: s.get_bucket_ownership_controls(Bucket=BUCKET),
    "DeleteBucketOwnershipControls": lambda s: s.delete_bucket_ownership_controls(Bucket=BUCKET),
    "GetBucketAcl": lambda s: s.get_bucket_acl(Bucket=BUCKET),
    "PutBucketAcl": lambda s: s.put_bucket_acl(Bucket=BUCKET, ACL="private"),
    "GetBucketNotificationConfiguration": lambda s: s.get_bucket_notification_configuration(Bucket=BUCKET),
    "PutBucketNotificationConfiguration": lambda s: s.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={}
    ),
    "GetBucketLogging": lambda s: s.get_bucket_logging(Bucket=BUCKET),
    "PutBucketLogging": lambda s: s.put_bucket_logging(Bucket=BUCKET, BucketLoggingStatus={}),
    "GetBucketRequestPayment": lambda s: same(s.get_bucket_request_payment(Bucket=BUCKET)["Payer"], "BucketOwner"),
    "PutBucketRequestPayment": lambda s: s.put_bucket_request_payment(
        Bucket=BUCKET, RequestPaymentConfiguration={"Payer": "BucketOwner"}
    ),
    "GetBucketAccelerateConfiguration": lambda s: s.get_bucket_accelerate_configuration(Bucket=BUCKET),
}
DIFFERS = {
    "CreateBucket": "a second time 409 BucketAlreadyOwnedByYou, as MinIO",
    "GetObjectAcl": "full control of the owner, unless the ownership setting allows others",
    "GetBucketAcl": "full control of the owner, unless the ownership setting allows others",
    "PutObjectAcl": "other grants than `private` where the ownership setting allows them, else 501",
    "PutBucketAcl": "other grants than `private` where the ownership setting allows them, else 501",
    "PutBucketNotificationConfiguration": "webhooks only",
    "PutBucketLogging": "stored, no logs are delivered",
    "PutBucketRequestPayment": "stored, nobody is charged",
    "PutBucketLifecycleConfiguration": "stored and run; transitions are 501",
    "GetBucketAccelerateConfiguration": "always empty",
    "UpdateObjectEncryption": "of encrypted objects only, as AWS; a former SSE-S3 object keeps its ETag",
}


OLD_NAMES = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
ELSEWHERE = {
    "WriteGetObjectResponse": "for Object Lambda's own host",
    "ListDirectoryBuckets": "for S3 Express's own host",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compatibility")
    ca = certificate(folder)
    running = Served(app.Settings(ROOT, folder / "data", "127.0.0.1", 0, certs=folder, kms=KMS))
    running.ca = ca
    yield running
    running.stop()


@pytest.fixture(scope="module")
def s3(served):
    made = boto3.client(
        "s3",
        endpoint_url=f"https://localhost:{served.running.port}",
        aws_access_key_id="rootuser",
        aws_secret_access_key="rootpassword",
        region_name="us-east-1",
        verify=served.ca,
        config=Config(retries={"max_attempts": 1}),
    )
    made.create_bucket(Bucket=BUCKET)
    made.create_bucket(Bucket="compat-lock", ObjectLockEnabledForBucket=True)
    return made


def test_the_table_of_operations_says_what_is_so(s3):
    on_the_page(OPERATIONS, measure(s3))


def test_the_table_of_what_we_lack_says_what_is_so(s3, served):
    def answer(lack):
        return lack.send(Session(served.running.port, served.ca))

    s3.put_object(Bucket=BUCKET, Key="k", Body=DATA)
    rows = [f"| {lack.what} | {lack.shown} | {answer(lack)} |\n" for lack in LACKS]
    on_the_page(LACKING, "| what | asked for by | answer |\n|---|---|---|\n" + "".join(rows))
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == DATA


def on_the_page(part, table):
    """Compare a part of the page with what was found, or write it."""
    start, end, text = f"<!-- {part}: start -->", f"<!-- {part}: end -->", PAGE.read_text()
    page = re.sub(f"{start}.*?{end}", lambda _: f"{start}\n{table}{end}", text, flags=re.S)
    if os.environ.get("WRITE_COMPATIBILITY"):
        PAGE.write_text(page)
        return
    assert start in text
    assert page == text, "the table is another now; WRITE_COMPATIBILITY=1 writes it again"


def attempt(operation, *arguments):
    try:
        operation(*arguments)
    except (ClientError, BotoCoreError, AssertionError):
        return "no"
    return "yes"


def measure(s3):
    """Return the table of all operations."""
    rows = {name: [attempt(operation, s3)] * len(MODES) for name, operation in BUCKETS.items()}
    for name, operation in OBJECTS.items():
        rows[name] = [attempt(operation, Desk(s3, *mode)) for mode in MODES.values()]
    notes = dict(DIFFERS)
    for name, new in OLD_NAMES.items():
        rows[name], notes[name] = rows[new], f"the old name of {new}"
    s3.put_object(Bucket=BUCKET, Key="k", Body=DATA)
    for name in sorted(set(s3.meta.service_model.operation_names) - set(rows)):
        rows[name], notes[name] = ["no"] * len(MODES), ELSEWHERE.get(name) or refusal(s3, name)
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == DATA, "an operation that we lack changed an object"
    lines = ["| operation | " + " | ".join(MODES) + " | |\n", "|---|" + "---|" * (len(MODES) + 1) + "\n"]
    for name in sorted(rows):
        marks = ["differs" if name in DIFFERS and mark == "yes" else mark for mark in rows[name]]
        lines.append(f"| {name} | " + " | ".join(marks) + f" | {notes.get(name, '')} |\n")
    return "".join(lines)


def refusal(s3, name):
    """Return what an operation that we lack answers to its shortest request."""
    shape = s3.meta.service_model.operation_model(name).input_shape
    try:
        done = getattr(s3, xform_name(name))(**shortest(shape))
    except ClientError as error:
        answer = error.response
        return f"{answer['ResponseMetadata']['HTTPStatusCode']} `{answer['Error']['Code']}`"
    return f"{done['ResponseMetadata']['HTTPStatusCode']}, nothing was there to remove"


def shortest(shape, name=""):
    """Return the shortest argument that a shape of botocore's model allows."""
    if shape.type_name == "structure":
        return {member: shortest(shape.members[member], member) for member in shape.required_members}
    if shape.type_name == "list":
        return [shortest(shape.member)]
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else {"Bucket": BUCKET, "Key": "k"}.get(name, "x")
    return {"integer": 1, "long": 1, "boolean": True, "timestamp": "2099-01-01", "blob": b"x"}[shape.type_name]


@dataclass
class Session:
    """Signs and sends requests that boto3 has no method for."""

    port: int
    ca: str

    def send(self, method, path, headers, body, service="s3"):
        url = f"https://localhost:{self.port}{path}"
        signed = AWSRequest(method, url, data=body, headers=dict(headers))
        signed.headers["Content-MD5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        S3SigV4Auth(Credentials("rootuser", "rootpassword"), service, "us-east-1").add_auth(signed)
        pool = urllib3.PoolManager(ca_certs=self.ca)
        answer = pool.request(method, url, body=body, headers=dict(signed.headers), retries=False)
        code = re.search(rb"<Code>(.*?)</Code>|\"Code\":\"(.*?)\"", answer.data)
        return answer.status, (code[1] or code[2]).decode() if code else ""


@dataclass
class Lack:
    """Something of MinIO or AWS that we do not have, and a request that asks for it."""

    what: str
    shown: str
    method: str
    path: str
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    service: str = "s3"

    def send(self, session):
        status, code = session.send(self.method, self.path, self.headers, self.body, self.service)
        return f"{status} `{code}`"


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _federated(action):
    return {"method": "POST", "path": "/", "headers": FORM, "service": "sts",
            "body": f"Action={action}&Version=2011-06-15&WebIdentityToken=x".encode()}  # fmt: skip


REPLICATION = (
    b"<ReplicationConfiguration><Role>r</Role><Rule><ID>a</ID><Status>Enabled</Status><Priority>1</Priority>"
    b"<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication><Filter><Prefix/></Filter>"
    b"<Destination><Bucket>arn:aws:s3:::x</Bucket></Destination></Rule></ReplicationConfiguration>"
)
TRANSITION = (
    b"<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Filter><Prefix>a</Prefix></Filter>"
    b"<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule></LifecycleConfiguration>"
)
MFA = b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"
LACKS = [
    Lack("replication", "`PUT ?replication`", "PUT", "/compat?replication", body=REPLICATION),
    Lack("site replication", "`mc admin replicate`", "GET", "/minio/admin/v3/site-replication/info"),
    Lack("remote targets", "`mc replicate`", "GET", "/minio/admin/v3/list-remote-targets?bucket=compat"),
    Lack("tiering by lifecycle", "`Transition`", "PUT", "/compat?lifecycle", body=TRANSITION),
    Lack("tiers", "`mc ilm tier`", "GET", "/minio/admin/v3/tier"),
    Lack("storage classes of archives", "`x-amz-storage-class: GLACIER`", "PUT", "/compat/g",
         {"x-amz-storage-class": "GLACIER"}),
    Lack("restoring archived objects", "`POST ?restore`", "POST", "/compat/k?restore"),
    Lack("S3 Select", "`POST ?select&select-type=2`", "POST", "/compat/k?select&select-type=2"),
    Lack("Snowball archives", "`x-amz-meta-snowball-auto-extract`", "PUT", "/compat/k",
         {"x-amz-meta-snowball-auto-extract": "true"}, b"x"),
    Lack("appending", "`x-amz-write-offset-bytes`", "PUT", "/compat/k", {"x-amz-write-offset-bytes": "1"}, b"x"),
    Lack("Object Lambda", "`GET ?lambdaArn=`", "GET", "/compat/k?lambdaArn=x"),
    Lack("MFA delete", "`<MfaDelete>Enabled`", "PUT", "/compat?versioning", body=MFA),
    Lack("websites", "`PUT ?website`", "PUT", "/compat?website", body=b"<WebsiteConfiguration/>"),
    Lack("transfer acceleration", "`PUT ?accelerate`", "PUT", "/compat?accelerate", body=b"<AccelerateConfiguration/>"),
    Lack("OpenID Connect", "AssumeRoleWithWebIdentity", **_federated("AssumeRoleWithWebIdentity")),
    Lack("LDAP", "AssumeRoleWithLDAPIdentity", **_federated("AssumeRoleWithLDAPIdentity")),
    Lack("STS by certificate", "AssumeRoleWithCertificate", **_federated("AssumeRoleWithCertificate")),
    Lack("erasure sets: healing", "`mc admin heal`", "POST", "/minio/admin/v3/heal/"),
    Lack("erasure sets: pools", "`mc admin decommission`", "GET", "/minio/admin/v3/pools/list"),
    Lack("the built-in speed test", "`mc support perf`", "POST", "/minio/admin/v3/speedtest"),
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(DIFFERS))
def test_every_difference_is_of_a_known_operation(name):
    assert name in OBJECTS or name in BUCKETS
