"""Over TLS: customers' keys, aws-chunked bodies with trailers, virtual hosts; and copies between all modes."""

import base64
import datetime
import hashlib
import itertools
import os
import socket

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from system.test_s3_boto3 import KMS, ROOT, Served

from strongroom.s3 import app

KEY, OTHER = os.urandom(32), os.urandom(32)
MIB = 1024 * 1024


def certificate(folder):
    """Write public.crt and private.key for localhost and its virtual hosts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.DNSName("*.localhost")]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "public.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8
    (folder / "private.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption())
    )
    return str(folder / "public.crt")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s3")
    ca = certificate(folder)
    settings = app.Settings(
        ROOT, folder / "data", "127.0.0.1", 0, certs=folder, kms=KMS, domains=("localhost",), region="us-east-1"
    )
    server = Served(settings)
    server.ca = ca
    yield server
    server.stop()


def client(served, **config):
    return boto3.client(
        "s3",
        endpoint_url=f"https://localhost:{served.running.port}",
        aws_access_key_id="rootuser",
        aws_secret_access_key="rootpassword",
        region_name="us-east-1",
        verify=served.ca,
        config=Config(retries={"max_attempts": 1}, **config),
    )


@pytest.fixture(scope="module")
def s3(served):
    made = client(served, s3={"addressing_style": "path"})
    made.create_bucket(Bucket="tls")
    return made


def customer(key):
    """boto3 encodes the key and adds its MD5."""
    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key}


@pytest.mark.parametrize("size", [0, 5, 100_000, 3 * MIB])
def test_customer_keys(s3, size):
    data = os.urandom(size)
    put = s3.put_object(Bucket="tls", Key="c", Body=data, **customer(KEY))
    assert put["ETag"] != f'"{hashlib.md5(data).hexdigest()}"'
    assert "SSECustomerKey" not in put
    assert s3.get_object(Bucket="tls", Key="c", **customer(KEY))["Body"].read() == data
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="tls", Key="c")
    assert error.value.response["Error"]["Code"] == "InvalidRequest"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="tls", Key="c", **customer(OTHER))
    assert error.value.response["Error"]["Code"] == "AccessDenied"
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket="tls", Key="c", **customer(OTHER))
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_virtual_hosts(served, s3, monkeypatch):
    find = socket.getaddrinfo

    def local(host, *arguments, **options):
        return find("127.0.0.1" if host.endswith(".localhost") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    virtual = client(served, s3={"addressing_style": "virtual"})
    virtual.put_object(Bucket="tls", Key="by/host é", Body=b"hello")
    assert s3.get_object(Bucket="tls", Key="by/host é")["Body"].read() == b"hello"
    assert "by/host é" in [one["Key"] for one in virtual.list_objects_v2(Bucket="tls")["Contents"]]


def test_customer_keys_need_tls():
    plain = Served(app.Settings(ROOT, None, "127.0.0.1", 0))
    try:
        made = plain.client()
        made.create_bucket(Bucket="plain")
        with pytest.raises(ClientError) as error:
            made.put_object(Bucket="plain", Key="k", Body=b"", **customer(KEY))
        assert error.value.response["Error"]["Code"] == "InvalidRequest"
    finally:
        plain.stop()


MODES = {
    "plain": {},
    "sse-s3": {"ServerSideEncryption": "AES256"},
    "sse-kms": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "my-key"},
    "sse-kms-context": {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSEncryptionContext": base64.b64encode(b'{"a":"b"}').decode(),
    },
    "dsse": {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "my-key"},
    "sse-c": customer(KEY),
}
SIZES = {"1 B": 1, "1 MiB": MIB, "8 MiB + 1": 8 * MIB + 1}


def read_back(mode):
    return MODES["sse-c"] if mode == "sse-c" else {}


def source_key(mode):
    found = read_back(mode)
    return {f"CopySource{name}": value for name, value in found.items()}


@pytest.fixture(scope="module")
def sources(s3):
    """One object for each mode and size, and a multipart one, with its bytes."""
    made = {}
    for mode, (label, size) in itertools.product(MODES, SIZES.items()):
        data = os.urandom(size)
        s3.put_object(Bucket="tls", Key=f"from/{mode}/{label}", Body=data, **MODES[mode])
        made[mode, label] = data
    for mode, options in MODES.items():
        parts = [os.urandom(5 * MIB), os.urandom(99_999)]
        key = f"from/{mode}/multipart"
        upload = s3.create_multipart_upload(Bucket="tls", Key=key, **options)["UploadId"]
        done = []
        for number, part in enumerate(parts, 1):
            answer = s3.upload_part(
                Bucket="tls", Key=key, UploadId=upload, PartNumber=number, Body=part, **read_back(mode)
            )
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
        s3.complete_multipart_upload(Bucket="tls", Key=key, UploadId=upload, MultipartUpload={"Parts": done})
        made[mode, "multipart"] = b"".join(parts)
    return made


@pytest.mark.parametrize("label", [*SIZES, "multipart"])
@pytest.mark.parametrize(("source", "target"), list(itertools.product(MODES, MODES)))
def test_copies_between_all_modes(s3, sources, source, target, label):
    copy_source = {"Bucket": "tls", "Key": f"from/{source}/{label}"}
    s3.copy_object(Bucket="tls", Key="to", CopySource=copy_source, **source_key(source), **MODES[target])
    got = s3.get_object(Bucket="tls", Key="to", **read_back(target))
    assert got["Body"].read() == sources[source, label]
    assert got.get("ServerSideEncryption") == MODES[target].get("ServerSideEncryption")


@pytest.mark.parametrize(("source", "target"), list(itertools.product(MODES, MODES)))
def test_part_copies_between_all_modes(s3, sources, source, target):
    upload = s3.create_multipart_upload(Bucket="tls", Key="parts", **MODES[target])["UploadId"]
    answer = s3.upload_part_copy(
        Bucket="tls",
        Key="parts",
        UploadId=upload,
        PartNumber=1,
        CopySource={"Bucket": "tls", "Key": f"from/{source}/multipart"},
        CopySourceRange=f"bytes=65535-{5 * MIB + 10}",
        **source_key(source),
        **read_back(target),
    )
    parts = {"Parts": [{"PartNumber": 1, "ETag": answer["CopyPartResult"]["ETag"]}]}
    s3.complete_multipart_upload(Bucket="tls", Key="parts", UploadId=upload, MultipartUpload=parts)
    got = s3.get_object(Bucket="tls", Key="parts", **read_back(target))
    assert got["Body"].read() == sources[source, "multipart"][65535 : 5 * MIB + 11]


def test_a_bucket_may_block_customer_keys(s3):
    """Sse.md 18 row 24: BlockedEncryptionTypes."""
    s3.create_bucket(Bucket="blocked")
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    s3.put_bucket_encryption(Bucket="blocked", ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert s3.get_bucket_encryption(Bucket="blocked")["ServerSideEncryptionConfiguration"]["Rules"] == [rule]
    for write in (s3.put_object, s3.create_multipart_upload):
        with pytest.raises(ClientError) as error:
            write(Bucket="blocked", Key="k", **customer(KEY))
        assert error.value.response["Error"]["Code"] == "AccessDenied"
    assert s3.put_object(Bucket="blocked", Key="k")["ServerSideEncryption"] == "AES256"
