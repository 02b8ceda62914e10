"""A development server over TLS: clients that take its authority reach it, and nobody else does."""

import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from kms_server import free_port


def test_a_development_server_makes_its_own_certificates(tmp_path):
    port, folder = free_port(), tmp_path / "certs"
    words = [sys.executable, "-m", "strongroom.cli.main", "kms", "server", "-dev-tls", "-dev-root-token-id=root"]
    words += [f"-dev-listen-address=127.0.0.1:{port}", f"-dev-tls-cert-dir={folder}", "-log-format=json"]
    log = (tmp_path / "out.log").open("wb")
    process = subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | {"HOME": str(tmp_path)})
    try:
        end = time.monotonic() + 15
        while f"listening on 127.0.0.1:{port}" not in (tmp_path / "out.log").read_text():
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.05)
        text = (tmp_path / "out.log").read_text()
        authority = re.search(r"export VAULT_CACERT='([^']+)'", text).group(1)
        assert authority == str(folder / "vault-ca.pem")
        assert json.loads(text.splitlines()[0])["@level"] == "info"
        assert (folder / "vault-key.pem").stat().st_mode & 0o777 == 0o600
        for host in ("127.0.0.1", "localhost"):
            request = urllib.request.Request(f"https://{host}:{port}/v1/sys/mounts", headers={"X-Vault-Token": "root"})
            with urllib.request.urlopen(
                request, timeout=10, context=ssl.create_default_context(cafile=authority)
            ) as got:
                assert json.load(got)["data"]["secret/"]["options"] == {"version": "2"}
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"https://127.0.0.1:{port}/v1/sys/health", timeout=10)
    finally:
        process.terminate()
        process.wait(10)
        log.close()
