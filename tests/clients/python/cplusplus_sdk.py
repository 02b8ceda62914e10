"""The AWS SDK for C++, through pyarrow, against a server. It has no encryption modes: the server's default counts.

python cplusplus_sdk.py BUCKET     server, credentials and authority as for rust_object_store.py
"""

import os
import sys

import pyarrow.fs


def main(bucket: str) -> None:
    """Make a bucket; write in parts, read, copy, move, list; remove all."""
    scheme, _, address = os.environ["AWS_ENDPOINT_URL"].partition("://")
    files = pyarrow.fs.S3FileSystem(
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        region=os.environ["AWS_REGION"],
        endpoint_override=address,
        scheme=scheme,
        tls_ca_file_path=os.environ["SSL_CERT_FILE"],
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )
    data = os.urandom(12 * 2**20 + 1)
    files.create_dir(bucket)
    with files.open_output_stream(f"{bucket}/dir/a + b/päckage") as stream:
        stream.write(data)
    with files.open_input_file(f"{bucket}/dir/a + b/päckage") as file:
        assert file.read() == data
        file.seek(5_000_000)
        assert file.read(1000) == data[5_000_000:5_001_000]
    files.copy_file(f"{bucket}/dir/a + b/päckage", f"{bucket}/dir/copied")
    files.move(f"{bucket}/dir/copied", f"{bucket}/moved")
    found = files.get_file_info(pyarrow.fs.FileSelector(bucket, recursive=True))
    sizes = {one.path.removeprefix(f"{bucket}/"): one.size for one in found if one.is_file}
    assert sizes == {"dir/a + b/päckage": len(data), "moved": len(data)}, sizes
    files.delete_dir(bucket)
    print("all well")


if __name__ == "__main__":
    main(*sys.argv[1:])
