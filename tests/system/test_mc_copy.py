"""What mc copies: bars, odd names, other clients, interruptions, a mirror of a real tree."""

import json
import os
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import boto3
import botocore.config
import minio
from mc_shell import MIB, big_file, until


def test_a_bar_for_a_large_file_reaches_the_end(shell):
    big_file(shell.folder / "big", 40 * MIB)
    shell.run("mb", "tls/bar")
    shown = shell.on_terminal("cp", "big", "tls/bar/big")
    assert "40.00 MiB / 40.00 MiB" in shown
    assert "100.00%" in shown
    shown = shell.on_terminal("cp", "tls/bar/big", "back")
    assert "100.00%" in shown
    assert (shell.folder / "back").read_bytes() == (shell.folder / "big").read_bytes()


def test_round_trips_of_odd_objects(shell):
    shell.run("mb", "my/odd")
    files = {"zero": 0, "five": 5, "part and one": 16 * MIB + 1, "ü/漢 字+%&?#.txt": 7, "dots..txt": 3}
    source = shell.folder / "odd"
    for name, size in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    shell.run("cp", "-r", "odd/", "my/odd/")
    shell.run("cp", "-r", "my/odd", "back/")
    for name in files:
        assert (shell.folder / "back" / "odd" / name).read_bytes() == (source / name).read_bytes()
        assert shell.run("ls", f"my/odd/{name}").count("\n") == 1
    listed = [json.loads(row)["key"] for row in shell.run("--json", "ls", "-r", "my/odd").splitlines()]
    assert sorted(listed) == sorted(files)
    shell.run("rm", "-r", "--force", "my/odd")
    shell.run("rb", "my/odd")


def test_other_clients_read_what_mc_wrote(shell):
    data = big_file(shell.folder / "big", 20 * MIB).read_bytes()
    shell.run("mb", "my/shared")
    shell.run("cp", "--attr", "color=red;Cache-Control=no-store", "--tags", "a=1", "--checksum", "SHA256", "big",
              "my/shared/big")  # fmt: skip
    url = f"http://127.0.0.1:{shell.ports['my']}"
    s3 = boto3.client("s3", endpoint_url=url, aws_access_key_id="minio", aws_secret_access_key="minio123",
                      region_name="us-east-1", config=botocore.config.Config(signature_version="s3v4"))  # fmt: skip
    found = s3.get_object(Bucket="shared", Key="big", ChecksumMode="ENABLED")
    assert found["Body"].read() == data
    assert (found["Metadata"], found["CacheControl"]) == ({"color": "red"}, "no-store")
    assert s3.get_object_tagging(Bucket="shared", Key="big")["TagSet"] == [{"Key": "a", "Value": "1"}]
    other = minio.Minio(f"127.0.0.1:{shell.ports['my']}", "minio", "minio123", secure=False)
    assert other.get_object("shared", "big").data == data
    s3.put_object(Bucket="shared", Key="theirs", Body=b"from boto3")
    assert shell.run("cat", "my/shared/theirs") == "from boto3"


def test_mirror_of_a_real_tree(shell):
    library = Path(sysconfig.get_paths()["stdlib"])
    tree = shell.folder / "tree"
    for name in ("json", "email", "asyncio", "html", "logging"):
        for path in (library / name).rglob("*.py"):
            target = tree / path.relative_to(library)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    count = sum(path.is_file() for path in tree.rglob("*"))
    shell.run("mb", "my/lib")
    assert shell.run("mirror", "tree", "my/lib/py").count(" -> ") == count
    assert " -> " not in shell.run("mirror", "tree", "my/lib/py")
    changed = tree / "json" / "decoder.py"
    data = bytearray(changed.read_bytes())
    data[0] ^= 1
    time.sleep(1.1)  # mtimes of the copy have a precision of a millisecond on the server
    changed.write_bytes(data)
    out = shell.run("mirror", "--overwrite", "tree", "my/lib/py")
    assert out.count(" -> ") == 1
    assert "json/decoder.py" in out
    shell.run("mirror", "my/lib/py", "copy")
    assert (shell.folder / "copy" / "json" / "decoder.py").read_bytes() == bytes(data)
    changed.unlink()
    out = shell.run("mirror", "--overwrite", "--remove", "tree", "my/lib/py")
    assert "`` -> `my/lib/py/json/decoder.py`" in out
    assert shell.run("diff", "tree", "my/lib/py") == ""


def test_an_interrupted_upload_goes_on(shell):
    big_file(shell.folder / "big", 64 * MIB)
    shell.run("mb", "my/resume")
    # One part after another: side by side all of them would end at the same moment.
    process = shell.start("cp", "--limit-upload", "20MiB", "--parallel", "1", "big", "my/resume/big",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    journals = shell.folder / "mc" / "resume"
    found = until(lambda: [json.loads(file.read_text()) for file in journals.glob("*.json")],
                   lambda found: found and len(found[0]["parts"]) >= 1)  # fmt: skip
    assert found
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert b"unfinished: `" in err
    upload = found[0]["upload"]
    assert [row for row in shell.run("ls", "-I", "-r", "my/resume").splitlines() if "big" in row]
    shell.run("cp", "big", "my/resume/big")
    assert list(journals.glob("*.json")) == []
    assert shell.run("ls", "-I", "-r", "my/resume") == "", upload
    shell.run("cp", "my/resume/big", "back")
    assert (shell.folder / "back").read_bytes() == (shell.folder / "big").read_bytes()


def test_an_interrupted_download_goes_on(shell):
    big_file(shell.folder / "big", 96 * MIB)
    shell.run("mb", "my/down")
    shell.run("cp", "big", "my/down/big")
    # One range after another: side by side all of them would end at the same moment.
    process = shell.start("cp", "--limit-download", "40MiB", "--parallel", "1", "my/down/big", "back",
                          stderr=subprocess.PIPE)  # fmt: skip
    assert until(lambda: [file for file in shell.folder.glob(".back.*.json") if b"[0" in file.read_bytes()
                           or b"[1" in file.read_bytes() or b"[2" in file.read_bytes()], bool)  # fmt: skip
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (shell.folder / "back").exists()
    shell.run("cp", "my/down/big", "back")
    assert (shell.folder / "back").read_bytes() == (shell.folder / "big").read_bytes()
    assert list(shell.folder.glob(".back.*")) == []
