"""Sealing the kms: cached keys serve until their expiry, then 503; unsealing brings everything back by itself."""

import json
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from strongroom.sdk.blocking import Client

UNUSED_SECONDS = 20  # cache.expiry.unused in the key server's configuration
CODES = {"kms:DecryptionFailed", "kms:KeyGenerationFailed"}


@pytest.fixture
def s3(chain):
    environment = chain.environment()
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
        verify=environment["AWS_CA_BUNDLE"],
        config=Config(retries={"total_max_attempts": 1}),
    )


def attempt(s3):
    """Return 200, or the status and code of a failure."""
    try:
        s3.get_object(Bucket="sealed", Key="k")["Body"].read()
        s3.put_object(Bucket="sealed", Key="other", Body=b"x")
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return 200


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.25)


def test_sealing_locks_and_unsealing_brings_back(chain, s3):
    admin = chain.environment(admin=True)
    kms = Client(admin["VAULT_ADDR"], admin["VAULT_CACERT"], headers={"X-Vault-Token": admin["VAULT_TOKEN"]})
    share = json.loads((chain.folder / "secrets/unseal").read_text())["share"]
    s3.create_bucket(Bucket="sealed")
    s3.put_object(Bucket="sealed", Key="k", Body=b"content")
    before = chain.children()

    assert kms.ask("PUT", "/v1/sys/seal").status == 204
    assert attempt(s3) == 200, "cached keys serve until their expiry"
    time.sleep(UNUSED_SECONDS * 2 + 2)  # the key server looks for unused keys at this pace
    status, code = attempt(s3)
    assert status == 503
    assert code in CODES
    assert s3.head_object(Bucket="sealed", Key="k")["ContentLength"] == 7
    assert {item["Key"] for item in s3.list_objects_v2(Bucket="sealed")["Contents"]} >= {"k"}

    kms.close()
    assert kms.ask("PUT", "/v1/sys/unseal", {"key": share}).json()["sealed"] is False
    until(lambda: attempt(s3) == 200, 30)
    assert chain.children() == before, "nothing was restarted"
