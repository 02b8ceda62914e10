"""What goes wrong on the way: a clock that is off, a server that goes away in the middle of a transfer."""

import json
import signal
import subprocess
import sys
import time

import pytest
from mc_shell import MIB, McShell, big_file, until
from s3_process import S3Process

ENTRANCE = "import sys; from strongroom.cli.mc.main import main; sys.exit(main(sys.argv[1:], 'mc'))"


class Alone:
    """What McShell wants of its servers, for one that a test starts and ends itself."""

    def __init__(self, port, certificate):
        self.ports = {"my": port, "kes": port, "tls": port, "dead": port}
        self.authority = type("Authority", (), {"certificate": certificate})


@pytest.fixture
def server(tmp_path):
    running = S3Process(tmp_path / "data", MINIO_KMS_AUTO_ENCRYPTION="off").start()
    yield running
    running.stop()


@pytest.fixture
def mc(server, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shell = McShell(folder, Alone(server.port, ""))
    shell.run("mb", "my/away")
    return shell


def one_line(text):
    """Return the single line of an output; bars and arrows of what had begun are above it."""
    failures = [line for line in text.splitlines() if "<ERROR>" in line]
    assert len(failures) == 1, text
    return failures[0]


@pytest.mark.parametrize("seconds", [-7200, 7200])
def test_a_clock_that_is_off_says_so(mc, seconds):
    wrong = f"import time; real = time.time; time.time = lambda: real() + {seconds}; {ENTRANCE}"
    done = subprocess.run([sys.executable, "-c", wrong, "ls", "my"], env=mc.environ, cwd=mc.folder, check=False,
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 1
    assert "Set this machine's clock (or the server's)" in one_line(done.stderr)


def test_a_clock_that_is_ten_minutes_off_works(mc):
    wrong = f"import time; real = time.time; time.time = lambda: real() - 600; {ENTRANCE}"
    subprocess.run([sys.executable, "-c", wrong, "ls", "my"], env=mc.environ, cwd=mc.folder, check=True, timeout=60)


def test_a_server_that_goes_away_in_an_upload(mc, server):
    big_file(mc.folder / "big", 64 * MIB)
    process = mc.start("cp", "--limit-upload", "16MiB", "big", "my/away/big", stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)  # fmt: skip
    journals = mc.folder / "mc" / "resume"
    assert until(lambda: [file for file in journals.glob("*.json") if json.loads(file.read_text())["parts"]], bool, 60)
    server.kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "connection refused" in one_line(err) or "unexpected EOF" in one_line(err)
    server.start()
    mc.run("cp", "big", "my/away/big")
    assert list(journals.glob("*.json")) == []
    mc.run("cp", "my/away/big", "back")
    assert (mc.folder / "back").read_bytes() == (mc.folder / "big").read_bytes()


def test_a_server_that_goes_away_in_a_download_and_comes_back(mc, server):
    big_file(mc.folder / "big", 96 * MIB)
    mc.run("cp", "big", "my/away/big")
    process = mc.start("cp", "--limit-download", "24MiB", "my/away/big", "back", stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert until(lambda: list(mc.folder.glob(".back.*.part")), bool)
    time.sleep(0.5)
    server.kill()
    server.start()
    _, err = process.communicate(timeout=120)
    if process.returncode:  # it was away for too long: the next run goes on
        one_line(err)
        assert not (mc.folder / "back").exists()
        mc.run("cp", "my/away/big", "back")
    assert (mc.folder / "back").read_bytes() == (mc.folder / "big").read_bytes()
    assert list(mc.folder.glob(".back.*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_folder_names_what_is_unfinished(mc, number):
    for each in range(6):
        big_file(mc.folder / f"file-{each}", 8 * MIB)
    process = mc.start("cp", "--limit-upload", "4MiB", *(f"file-{each}" for each in range(6)), "my/away/",
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "stopped; unfinished:" in err
    assert "Traceback" not in err


def test_wrong_keys_and_dead_servers_are_one_line(mc, server):
    mc.environ["MC_HOST_no"] = f"http://nobody:minio123456@127.0.0.1:{server.port}"
    assert "does not exist in our records" in one_line(mc.run("ls", "no", code=1))
    mc.environ["MC_HOST_bad"] = f"http://minio:wrongsecret@127.0.0.1:{server.port}"
    assert "Check your key" in one_line(mc.run("admin", "info", "bad", code=1))
    mc.environ["MC_HOST_gone"] = "http://minio:minio123@127.0.0.1:9"
    for words in (("ls", "gone"), ("cat", "gone/b/k"), ("admin", "user", "list", "gone"), ("mirror", ".", "gone/b")):
        assert "connection refused" in mc.run(*words, code=1)
    mc.environ["MC_HOST_nowhere"] = "http://minio:minio123@no-such-host.invalid"
    assert "no-such-host.invalid" in one_line(mc.run("ls", "nowhere", code=1))
    mc.environ["MC_HOST_plain"] = f"https://minio:minio123@127.0.0.1:{server.port}"
    assert "HTTP" in one_line(mc.run("ls", "plain", code=1))
