"""mc as people run it: on a terminal, in a pipe, with what goes wrong."""

import json
import os
import re
import subprocess

import pytest


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


@pytest.mark.parametrize("words", [("--help",), ("cp", "--help"), ("--version",), ("ilm",), ("manual",)])
def test_a_reader_that_never_was_is_no_error(shell, words):
    reader, writer = os.pipe()
    os.close(reader)
    process = shell.start(*words, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    _, err = process.communicate(timeout=30)
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
    assert shell.run("ilm", "ls", "my/conf") == shell.run("ilm", "rule", "ls", "my/conf")  # the name before 2022
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
