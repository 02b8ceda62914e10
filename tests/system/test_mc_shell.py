"""mc as people run it: a process of its own, on a terminal, interrupted, in a pipe, beside other clients."""

import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import boto3
import botocore.config
import minio
import pytest
from vectors.mc_world import Servers

MC = [sys.executable, "-c", "import sys; from strongroom.cli.mc.main import main; sys.exit(main(sys.argv[1:], 'mc'))"]
MIB = 1024 * 1024


class Shell:
    """A folder with a configuration, and aliases for the servers."""

    def __init__(self, folder, servers):
        self.folder, self.ports = folder, servers.ports
        self.environ = {**os.environ, "MC_CONFIG_DIR": str(folder / "mc"), "HOME": str(folder), "TZ": "UTC",
                        "MC_CA": str(servers.authority.certificate)}  # fmt: skip
        for name in ("my", "kes", "tls"):
            scheme = "https" if name == "tls" else "http"
            self.environ[f"MC_HOST_{name}"] = f"{scheme}://minio:minio123@127.0.0.1:{self.ports[name]}"

    def run(self, *words, code=0, stdin=b""):
        """Run mc; return standard output."""
        done = subprocess.run([*MC, *words], env=self.environ, cwd=self.folder, input=stdin, capture_output=True,
                              check=False, timeout=60)  # fmt: skip
        assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode() + done.stderr.decode()

    def run_any(self, *words):
        """Run mc; return exit code and output."""
        done = subprocess.run([*MC, *words], env=self.environ, cwd=self.folder, capture_output=True, check=False)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def start(self, *words, **more):
        """Start mc."""
        return subprocess.Popen([*MC, *words], env=self.environ, cwd=self.folder, **more)

    def on_terminal(self, *words, columns=100, typed=b"", code=0):
        """Run mc on a pseudo terminal, typed lying there already; return what it wrote."""
        parent, child = pty.openpty()
        environ = {**self.environ, "COLUMNS": str(columns), "TERM": "xterm"}
        process = subprocess.Popen([*MC, *words], env=environ, cwd=self.folder, stdin=child, stdout=child, stderr=child)
        os.close(child)
        os.write(parent, typed)
        out = b""
        while True:
            ready, _, _ = select.select([parent], [], [], 30)
            assert ready, "nothing came for 30 seconds"
            try:
                piece = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            out += piece
        os.close(parent)
        assert process.wait(30) == code, out.decode()
        return out.decode()


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    running = Servers(tmp_path_factory.mktemp("mc-servers"))
    yield running
    running.stop()


@pytest.fixture
def shell(servers, tmp_path):
    return Shell(tmp_path, servers)


def big_file(path, size):
    block = hashlib.sha256(str(path.name).encode()).digest() * (MIB // 32)
    with path.open("wb") as out:
        for number in range(size // MIB):
            out.write(number.to_bytes(4, "big") + block[4:])
    return path


def test_the_first_guide_as_it_stands(shell):
    (shell.folder / "test.file").write_text("test\n")
    port = shell.ports["my"]
    shell.run("alias", "set", "myminio", f"http://127.0.0.1:{port}", "minio", "minio123")
    shell.run("mb", "myminio/crypt")
    shell.run("encrypt", "set", "sse-s3", "myminio/crypt/")
    shown = shell.on_terminal("cp", "test.file", "myminio/crypt/", columns=153)
    assert re.search(r"test\.file: +5 B / 5 B ┃▓+┃ 100\.00% \S+ \w+/s 0s", shown)
    out = shell.run("stat", "myminio/crypt/test.file")
    assert "Name      : test.file\n" in out
    assert "Encryption: SSE-S3\n" in out
    assert "Encrypted :\n  X-Amz-Server-Side-Encryption: AES256 \n" in out


def test_the_second_guide_as_it_stands(shell):
    shell.run("mb", "kes/guide")
    shell.run("admin", "kms", "key", "create", "kes", "my-minio-sse-kms-key")
    shell.run("encrypt", "set", "sse-kms", "my-minio-sse-kms-key", "kes/guide")
    assert "with KeyID: my-minio-sse-kms-key" in shell.run("encrypt", "info", "kes/guide")
    (shell.folder / "f").write_text("x")
    shell.run("cp", "f", "kes/guide/f")
    out = shell.run("stat", "kes/guide/f")
    assert "Encryption: SSE-KMS (arn:aws:kms:my-minio-sse-kms-key)" in out
    assert "  X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id: arn:aws:kms:my-minio-sse-kms-key" in out
    shell.run("encrypt", "clear", "kes/guide")
    shell.run("encrypt", "info", "kes/guide", code=1)
    assert "Summary:" in shell.run("admin", "service", "restart", "my")


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


def test_a_disabled_key_locks_its_objects(shell):
    shell.run("admin", "kms", "key", "create", "kes", "lockable")
    shell.run("mb", "kes/locked")
    shell.run("encrypt", "set", "sse-kms", "lockable", "kes/locked")
    (shell.folder / "f").write_text("secret\n")
    shell.run("cp", "f", "kes/locked/f")
    assert shell.run("cat", "kes/locked/f") == "secret\n"
    shell.run("admin", "kms", "key", "disable", "kes", "lockable")
    out = _until(lambda: shell.run_any("cat", "kes/locked/f"), lambda found: found[0] == 1)
    assert "the specified KMS key is not enabled" in out[1]
    shell.run("admin", "kms", "key", "enable", "kes", "lockable")
    assert _until(lambda: shell.run_any("cat", "kes/locked/f"), lambda found: found[0] == 0)[1] == "secret\n"
    shell.run("admin", "kms", "key", "rotate", "kes", "lockable")
    info = shell.run("admin", "kms", "key", "info", "kes", "lockable")
    assert re.search(r"State +│ enabled", info)
    assert re.search(r"Versions:\n.*\n│ Version ", info)


def test_what_a_key_protects(shell):
    shell.run("admin", "kms", "key", "create", "kes", "counted")
    shell.run("mb", "--with-versioning", "kes/counted")
    shell.run("encrypt", "set", "sse-kms", "counted", "kes/counted")
    shell.run("pipe", "kes/counted/f", stdin=b"secret")
    shell.run("pipe", "kes/counted/f", stdin=b"again")
    out = shell.run("admin", "kms", "key", "usage", "kes", "counted")
    assert re.search(r"counted +│ 1 +│ 2 +│ 11 B +│ yes", out)
    assert "Key `counted` protects 1 objects, 2 versions, 11 B, in 1 buckets." in out
    shell.run("rm", "-r", "--force", "--versions", "kes/counted")
    shell.run("encrypt", "clear", "kes/counted")
    out = shell.run("admin", "kms", "key", "usage", "kes", "counted")
    assert out == "Key `counted` protects 0 objects, 0 versions, 0 B, in 0 buckets.\n"


def _until(action, good, seconds=15):
    limit = time.monotonic() + seconds
    while True:
        found = action()
        if good(found) or time.monotonic() > limit:
            return found
        time.sleep(0.2)


def test_an_interrupted_upload_goes_on(shell):
    big_file(shell.folder / "big", 64 * MIB)
    shell.run("mb", "my/resume")
    process = shell.start("cp", "--limit-upload", "20MiB", "big", "my/resume/big", stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)  # fmt: skip
    journals = shell.folder / "mc" / "resume"
    found = _until(lambda: [json.loads(file.read_text()) for file in journals.glob("*.json")],
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
    process = shell.start("cp", "--limit-download", "40MiB", "my/down/big", "back", stderr=subprocess.PIPE)
    assert _until(lambda: [file for file in shell.folder.glob(".back.*.json") if b"[0" in file.read_bytes()
                           or b"[1" in file.read_bytes() or b"[2" in file.read_bytes()], bool)  # fmt: skip
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (shell.folder / "back").exists()
    shell.run("cp", "my/down/big", "back")
    assert (shell.folder / "back").read_bytes() == (shell.folder / "big").read_bytes()
    assert list(shell.folder.glob(".back.*")) == []


def test_a_reader_that_leaves_is_no_error(shell):
    shell.run("mb", "my/pipes")
    (shell.folder / "many").mkdir()
    for number in range(300):
        (shell.folder / "many" / f"a-long-name-for-a-file-{number}").write_text("")
    shell.run("cp", "-r", "many/", "my/pipes/")
    reader = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    process = shell.start("find", "my/pipes", stdout=reader.stdin, stderr=subprocess.PIPE)
    reader.stdin.close()
    _, err = process.communicate(timeout=30)
    reader.wait(10)
    assert (process.returncode, err) == (0, b"")


def test_failures_say_what_to_do(shell):
    assert "No such alias `nosuch` found. Use `mc alias set mycloud" in shell.run("alias", "list", "nosuch", code=1)
    del shell.environ["MC_CA"]
    out = shell.run("ls", "tls", code=1)
    assert "certificate signed by unknown authority. Trust its CA with --ca FILE" in out
    shell.run("--insecure", "ls", "tls")
    shell.environ["MC_HOST_other"] = f"http://minio:wrongsecret@127.0.0.1:{shell.ports['my']}"
    assert "Check your key and signing method" in shell.run("ls", "other", code=1)


def test_ping_and_ready(shell):
    assert "is ready" in shell.run("ready", "my")
    assert shell.run("ping", "-c", "2", "-i", "0", "my").count("status=ok") == 2
    shell.environ["MC_HOST_dead"] = f"http://127.0.0.1:{shell.ports['dead']}"
    process = shell.start("ready", "dead", stdout=subprocess.PIPE)
    line = process.stdout.readline().decode()
    process.terminate()
    assert "The cluster 'dead' is unreachable: Get \"http://127.0.0.1:" in line
    assert process.wait(10) == 143
    process.stdout.close()


def test_share_and_anonymous(shell):
    shell.run("mb", "my/pub")
    (shell.folder / "f").write_text("open\n")
    shell.run("cp", "f", "my/pub/f")
    import urllib.error
    import urllib.request

    url = json.loads(shell.run("--json", "share", "download", "my/pub/f"))["share"]
    assert urllib.request.urlopen(url).read() == b"open\n"
    plain = f"http://127.0.0.1:{shell.ports['my']}/pub/f"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(plain)
    shell.run("anonymous", "set", "download", "my/pub")
    assert urllib.request.urlopen(plain).read() == b"open\n"
    shell.run("anonymous", "set", "private", "my/pub")
    curl = json.loads(shell.run("--json", "share", "upload", "my/pub/up"))["share"].replace("@<FILE>", "@f")
    subprocess.run(curl.split(), cwd=shell.folder, check=True, capture_output=True)
    assert shell.run("cat", "my/pub/up") == "open\n"


def test_versions_undo_and_rewind(shell):
    shell.run("mb", "--with-versioning", "my/vers")
    for text in ("one", "two"):
        shell.run("pipe", "my/vers/k", stdin=text.encode())
    shell.run("rm", "my/vers/k")
    assert shell.run("ls", "--versions", "my/vers").count(" k\n") == 3
    shell.run("undo", "my/vers/k")
    assert shell.run("cat", "my/vers/k") == "two"
    shell.run("undo", "my/vers/k")
    assert shell.run("cat", "my/vers/k") == "one"
    shell.run("rb", "--force", "my/vers")
    shell.run("mb", "my/unversioned")
    shell.run("pipe", "my/unversioned/k", stdin=b"only")
    assert "is not versioned" in shell.run("undo", "my/unversioned/k", code=1)
    assert shell.run("cat", "my/unversioned/k") == "only"


def test_lifecycle_cors_and_events_of_buckets(shell):
    shell.run("mb", "my/conf")
    shell.run("ilm", "rule", "add", "--prefix", "tmp/", "--expire-days", "3", "--id", "r1", "my/conf")
    assert "r1" in shell.run("ilm", "rule", "ls", "my/conf")
    document = shell.run("ilm", "rule", "export", "my/conf")
    assert json.loads(document)["Rules"][0]["Expiration"] == {"Days": 3}
    shell.run("ilm", "rule", "edit", "--id", "r1", "--disable", "my/conf")
    assert "Disabled" in shell.run("ilm", "rule", "ls", "my/conf")
    shell.run("ilm", "rule", "rm", "--id", "r1", "my/conf")
    shell.run("ilm", "rule", "import", "my/conf", stdin=document.encode())
    shell.run("ilm", "rule", "rm", "--all", "--force", "my/conf")
    rule = "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    (shell.folder / "cors.xml").write_text(f"<CORSConfiguration>{rule}</CORSConfiguration>")
    shell.run("cors", "set", "my/conf", "cors.xml")
    assert "<AllowedOrigin>*</AllowedOrigin>" in shell.run("cors", "get", "my/conf")
    shell.run("cors", "remove", "my/conf")
    shell.run("cors", "get", "my/conf", code=1)


def test_access_keys(shell):
    shell.run("admin", "user", "add", "my", "carol", "carolsecret")
    shell.run("admin", "policy", "attach", "my", "readwrite", "--user", "carol")
    made = json.loads(shell.run("--json", "admin", "accesskey", "create", "my", "carol"))
    shell.environ["MC_HOST_sub"] = f"http://{made['accessKey']}:{made['secretKey']}@127.0.0.1:{shell.ports['my']}"
    shell.run("mb", "sub/carols")
    assert made["accessKey"] in shell.run("admin", "accesskey", "ls", "my", "carol")
    assert "carol" in shell.run("admin", "accesskey", "info", "my", made["accessKey"])
    shell.run("admin", "accesskey", "disable", "my", made["accessKey"])
    shell.run("ls", "sub", code=1)
    shell.run("admin", "accesskey", "rm", "my", made["accessKey"])


def test_what_we_do_not_have_says_so(shell):
    for words in (["sql", "my/b"], ["admin", "heal", "my"], ["admin", "decommission", "my"], ["support", "diag", "my"]):
        assert "NotImplemented" in shell.run(*words, code=1)


def test_a_certificate_is_trusted_on_first_use(shell):
    del shell.environ["MC_CA"], shell.environ["MC_HOST_tls"]
    words = ("alias", "set", "first", f"https://127.0.0.1:{shell.ports['tls']}", "minio", "minio123")
    out = shell.on_terminal(*words, typed=b"n\n", code=1)
    assert re.search(r"Fingerprint of `first` public key: ([0-9A-F]{2}:){31}[0-9A-F]{2}", out)
    assert "signed by unknown authority" in out
    out = shell.on_terminal(*words, typed=b"y\n")
    assert "Confirm public key y/N:" in out
    assert "Added `first` successfully." in out
    assert (shell.folder / "mc" / "certs" / "CAs" / "first.crt").read_text().startswith("-----BEGIN CERTIFICATE")
    shell.run("ls", "first")


def test_a_job_from_its_template_to_its_end(shell):
    shell.run("admin", "kms", "key", "create", "kes", "job-key")
    shell.run("mb", "kes/jobs")
    for name in ("p/a", "p/b", "q"):
        shell.run("pipe", f"kes/jobs/{name}", stdin=b"plain")
    text = shell.run("batch", "generate", "kes", "keyrotate")
    filled = {"BUCKET": "jobs", "PREFIX": "p/", "key: KEY ": "key: job-key ", "# plaintextO": "plaintextO"}
    for old, new in filled.items():
        assert old in text
        text = text.replace(old, new)
    (shell.folder / "job.yaml").write_text(text)
    job = json.loads(shell.run("--json", "batch", "start", "kes", "job.yaml"))["result"]["id"]
    assert _until(lambda: shell.run("batch", "status", "kes", job), lambda out: "complete" in out).count("│ 2 ") == 1
    assert job in shell.run("batch", "list", "kes")
    assert "bucket: jobs" in shell.run("batch", "describe", "kes", job)
    assert "SSE-KMS (arn:aws:kms:job-key)" in shell.run("stat", "kes/jobs/p/b")
    assert "Encryption" not in shell.run("stat", "kes/jobs/q")
    assert shell.run("cat", "kes/jobs/p/a") == "plain"
    shell.run("batch", "cancel", "kes", job)
    shell.run("batch", "status", "kes", "no-such-job", code=1)
    assert "NotImplemented" in shell.run("batch", "generate", "kes", "expire", code=1)
