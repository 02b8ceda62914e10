"""Every operation that there is, as a call with boto3 that checks what comes back; objects in each encryption mode."""

import base64
import hashlib
import json
import os

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
