"""Every S3 operation in every encryption mode, as boto3 calls it; docs/reference/compatibility.md is what this finds.

`WRITE_COMPATIBILITY=1 pytest tests/system/test_s3_compatibility.py` writes the page's table again.
"""

import os
import re
from pathlib import Path

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from compatibility_lacking import LACKS, Session
from compatibility_operations import BUCKET, BUCKETS, DATA, DIFFERS, MODES, OBJECTS, Desk
from system.test_s3_boto3 import KMS, ROOT, Served
from system.test_s3_tls import certificate

from strongroom.s3 import app

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "compatibility.md"
OPERATIONS, LACKING = "operations", "lacking"  # the parts of the page between `<!-- NAME: start -->` and `end`
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
    """Sse.md 18 row 23: no object is lost by a replication that there is not."""

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


@pytest.mark.parametrize("name", sorted(DIFFERS))
def test_every_difference_is_of_a_known_operation(name):
    assert name in OBJECTS or name in BUCKETS
