"""The object_store crate, through obstore, against a server, in one encryption mode.

python rust_object_store.py MODE BUCKET KEY     MODE: sse-s3, sse-kms or sse-c; KEY: the KMS key's name

The bucket must exist. Server and credentials come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
AWS_REGION, the authority from SSL_CERT_FILE.
"""

import base64
import os
import sys

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import S3Store


def main(mode: str, bucket: str, key: str) -> None:
    """Write, read, copy, rename, list and remove."""
    modes = {
        "sse-s3": {"aws_server_side_encryption": "AES256"},
        "sse-kms": {"aws_server_side_encryption": "aws:kms", "aws_sse_kms_key_id": key},
        "sse-c": {
            "aws_server_side_encryption": "sse-c",
            "aws_sse_customer_key_base64": base64.b64encode(os.urandom(32)).decode(),
        },
    }
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
    config = {"aws_endpoint": os.environ["AWS_ENDPOINT_URL"], **{name.lower(): os.environ[name] for name in names}}
    store = S3Store(bucket, config={**config, **modes[mode]})
    data = os.urandom(12 * 2**20 + 1)
    for name, body in (("dir/a + b/päckage", data[:65537]), ("empty", b""), ("multi", data)):
        obstore.put(store, name, body)
        assert bytes(obstore.get(store, name).bytes()) == body, name
    pieces = obstore.get_ranges(store, "multi", starts=[0, 5_000_000], ends=[10, 6_000_000])
    assert [bytes(piece) for piece in pieces] == [data[:10], data[5_000_000:6_000_000]]
    obstore.copy(store, "multi", "copied")
    obstore.rename(store, "copied", "renamed")
    assert bytes(obstore.get(store, "renamed").bytes()) == data
    try:
        obstore.put(store, "renamed", b"", mode="create")
    except AlreadyExistsError:
        pass
    else:
        raise AssertionError("an existing object was created")
    found = [one["path"] for page in obstore.list(store) for one in page]
    assert found == ["dir/a + b/päckage", "empty", "multi", "renamed"], found
    obstore.delete(store, found)
    print("all well")


if __name__ == "__main__":
    main(*sys.argv[1:])
