"""What SIGHUP changes in a running kms, and what a listener's TLS settings mean on the wire."""

import json
import os
import signal
import socket
import ssl
import subprocess
import time

import pytest
from kms_server import KmsProcess


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_sighup_opens_the_log_anew_and_takes_the_level_of_the_file(tmp_path):
    log = tmp_path / "operators.log"
    with KmsProcess(tmp_path, log_file=str(log), log_level="error", ui=True) as server:
        server.set_up()
        assert log.read_text() == ""  # the warning about `ui` is below the level
        config = json.loads(server.config.read_text())
        log.rename(tmp_path / "old.log")
        server.config.write_text(json.dumps(config | {"log_level": "loud"}))
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(log.exists)
        server.config.write_text(json.dumps(config | {"log_level": "warn"}))
        os.kill(server.process.pid, signal.SIGHUP)
        time.sleep(0.2)
        server.config.write_text(json.dumps(config | {"log_level": "loud"}))
        os.kill(server.process.pid, signal.SIGHUP)
        wait_for(lambda: "log_level 'loud'" in log.read_text())  # a warning, which is written now
        assert server.ask("GET", "sys/health")[0] == 200


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
    words += ["-out", str(folder / "a.crt"), "-keyout", str(folder / "a.key"), "-subj", "/CN=localhost"]
    subprocess.run(words, check=True, capture_output=True)
    return folder / "a.crt", folder / "a.key"


def shake(port, **limits):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in limits.items():
        setattr(context, name, value)
    with socket.create_connection(("127.0.0.1", port), 10) as plain, context.wrap_socket(plain) as tls:
        return tls.version(), tls.cipher()[0]


def test_a_listener_speaks_the_versions_and_suites_it_is_told(tmp_path, pair):
    chacha = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    cert = {"tls_cert_file": str(pair[0]), "tls_key_file": str(pair[1])}
    first = KmsProcess(tmp_path, tls=pair)
    old, new = KmsProcess(tmp_path), KmsProcess(tmp_path)
    listeners = [
        cert | {"address": f"127.0.0.1:{first.port}"},
        cert | {"address": f"127.0.0.1:{old.port}", "tls_max_version": "tls12", "tls_cipher_suites": chacha},
        cert | {"address": f"127.0.0.1:{new.port}", "tls_min_version": "tls13"},
    ]
    first.config.write_text(json.dumps({"storage": {"inmem": {}}, "listener": [{"tcp": one} for one in listeners]}))
    with first:
        assert shake(first.port)[0] == "TLSv1.3"
        assert shake(old.port) == ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")
        assert shake(new.port)[0] == "TLSv1.3"
        with pytest.raises(ssl.SSLError):
            shake(new.port, maximum_version=ssl.TLSVersion.TLSv1_2)
        with pytest.raises(ssl.SSLError):
            shake(old.port, minimum_version=ssl.TLSVersion.TLSv1_3)
