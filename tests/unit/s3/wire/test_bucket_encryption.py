import json
import re
from html import unescape
from pathlib import Path

import pytest

from strongroom.s3.domain.encryption import BucketEncryption, Encryption, Kind, Rule, choose
from strongroom.s3.domain.refusals import Refused
from strongroom.s3.wire import bucket_encryption

TRANSCRIPTS = json.loads((Path(__file__).parents[3] / "vectors" / "sse" / "http.json").read_text())["transcripts"]
PUTS = [
    t
    for t in TRANSCRIPTS
    if t["name"].startswith("bucket encryption: put") and "object" not in t["name"] and t["server"] == "tls-static"
    if not t["name"].endswith("put dsse")  # which the original does not have
]
GETS = {t["name"].replace(": get after ", ": put "): t for t in TRANSCRIPTS if ": get after " in t["name"]}


@pytest.mark.parametrize("t", PUTS, ids=lambda t: t["name"])
def test_recorded_put(t):
    body = t["request"].get("body") or ""
    body = b"<" + b" " * (1 << 20) if isinstance(body, dict) else body.encode()
    message = re.search(r"<Code>MalformedXML</Code><Message>(.*?)</Message>", t["response"].get("body") or "")
    if message or t["name"].endswith("rule without default"):  # the original accepts that one and encrypts nothing
        with pytest.raises(Refused) as refused:
            bucket_encryption.parse(body)
        assert message is None or refused.value.text == unescape(message[1])
        return
    configuration = bucket_encryption.parse(body)
    assert bucket_encryption.parse(bucket_encryption.render(configuration)) == configuration
    if t["name"] in GETS and "BucketKeyEnabled" not in t["name"]:  # which the original forgets
        assert bucket_encryption.render(configuration).decode() == GETS[t["name"]]["response"]["body"]


def test_there_are_recorded_puts():
    assert len(PUTS) > 15


def test_rules_for_prefixes():
    configuration = BucketEncryption(
        (
            Rule(Kind.KMS, "arn:aws:kms:all"),
            Rule(Kind.KMS, "logs", "logs/", False),
            Rule(Kind.S3, "", "logs/public/", True),
            Rule(Kind.KMS, "twice", "secret/", dual=True),
        )
    )
    assert bucket_encryption.parse(bucket_encryption.render(configuration)) == configuration
    assert configuration.for_key("a") == Encryption(Kind.KMS, "all")
    assert configuration.for_key("secret/a") == Encryption(Kind.KMS, "twice", dual=True)
    assert configuration.for_key("logs/a") == Encryption(Kind.KMS, "logs", bucket_key=False)
    assert configuration.for_key("logs/public/a") == Encryption(Kind.S3, bucket_key=True)
    assert BucketEncryption((Rule(Kind.S3, "", "x/"),)).for_key("y") is None


def test_two_rules_for_one_prefix_are_refused():
    default = "<SSEAlgorithm>AES256</SSEAlgorithm>"
    rule = f"<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>"
    rule = f"<Rule>{rule}<Filter><Prefix>a</Prefix></Filter></Rule>"
    body = f"<ServerSideEncryptionConfiguration>{rule}{rule}</ServerSideEncryptionConfiguration>"
    with pytest.raises(Refused, match="only one"):
        bucket_encryption.parse(body.encode())


def test_the_client_comes_before_the_bucket_before_the_server():
    client, bucket, server = (
        Encryption(Kind.KMS),
        BucketEncryption((Rule(Kind.KMS, "b"),)),
        Encryption(Kind.KMS, "s"),
    )
    assert choose(client, bucket, "k", server) is client
    assert choose(None, bucket, "k", server) == Encryption(Kind.KMS, "b")
    assert choose(None, None, "k", server) is server
    assert choose(None, BucketEncryption((Rule(Kind.S3, "", "x/"),)), "k", server) is server
    assert choose(None, None, "k", None) is None
