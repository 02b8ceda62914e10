"""A kms server as its own process, for system tests."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class KmsProcess:
    """`strongroom kms server` on a free port; url; killed at the end of a with block."""

    def __init__(self, folder: Path, storage="sqlite", port=None, tls=None, **more):
        self.folder, self.port = Path(folder), port or free_port()
        listener = {"address": f"127.0.0.1:{self.port}", "tls_disable": tls is None}
        if tls is not None:
            listener |= {"tls_cert_file": str(tls[0]), "tls_key_file": str(tls[1])}
        stores = storage if isinstance(storage, dict) else {storage: {"path": str(self.folder / "data")}}
        config = {"storage": stores, "listener": {"tcp": listener}, "disable_mlock": True}
        config |= {"default_lease_ttl": "168h", "max_lease_ttl": "720h"} | more
        self.config = self.folder / f"kms-{self.port}.json"
        self.config.write_text(json.dumps(config))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.process = None

    def start(self, seconds=15):
        words = [sys.executable, "-m", "strongroom.cli.main", "kms", "server", "-config", str(self.config)]
        log = (self.folder / f"kms-{self.port}.log").open("ab")
        self.process = subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"})
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / f"kms-{self.port}.log").read_text())
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise TimeoutError("the kms did not listen")

    def ask(self, method, path, body=None, token=None):
        """Return (status, JSON) of a request."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", data, method=method)
        if token:
            request.add_header("X-Vault-Token", token)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text else None

    def set_up(self, shares=1, threshold=1):
        """Initialise and unseal; return (keys, root token)."""
        _, made = self.ask("PUT", "sys/init", {"secret_shares": shares, "secret_threshold": threshold})
        self.unseal(made["keys"][:threshold])
        return made["keys"], made["root_token"]

    def unseal(self, keys):
        for key in keys:
            status, _ = self.ask("PUT", "sys/unseal", {"key": key})
            assert status == 200

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
