"""Our kes and s3 with a real OpenBao in the place of our kms."""

import os
import subprocess
import sys
import time
from pathlib import Path

import peers
from chain_process import PROGRAM, free_port

from strongroom.chain import env, settings
from strongroom.chain.first import Setup, create_default_key
from strongroom.chain.folder import Chain, Folder
from strongroom.chain.up import Wish, prepare
from strongroom.errors import Unavailable
from strongroom.sdk.blocking import Client


class OpenBaoChain:
    """Looks like ChainProcess to a test: start, environment, stop."""

    def __init__(self, path: Path) -> None:
        self.folder = Folder(path)
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(3)]
        self.chain = Chain(kms=addresses[0], kes=addresses[1], s3=addresses[2], s3_tls=True, root_user="strongroom")
        self.processes: list[subprocess.Popen] = []

    def start(self) -> "OpenBaoChain":
        identities = prepare(self.folder, self.chain, Wish())
        ca = self._start_openbao()
        kms = Client(self.chain.address("kms").url(), ca)
        self._wait(kms, "/v1/sys/health")
        Setup(self.folder, kms).equip("root")
        settings.write_kes(self.folder, self.chain, identities)
        config = self.folder / "kes/config.yaml"
        ours = str(settings.authority_pair(self.folder).certificate)
        head, _, tail = config.read_text().partition("keystore:")
        config.write_text(f"{head}keystore:{tail.replace(ours, ca)}")
        admin = settings.client_pair(self.folder, "admin")
        self._box("kes")
        kes = Client(self.chain.address("kes").url(), ours, str(admin.certificate), str(admin.key))
        self._wait(kes, "/v1/ready")
        create_default_key(kes)
        self._box("s3")
        self._wait(Client(self.chain.s3_url(), ours), "/minio/health/ready")
        return self

    def _start_openbao(self) -> str:
        certificates = self.folder / "certs/bao"
        certificates.mkdir()
        words = ["server", "-dev-tls", f"-dev-tls-cert-dir={certificates}", "-dev-root-token-id=root"]
        words += [f"-dev-listen-address={self.chain.kms}", "-dev-no-store-token"]
        self._start([peers.find("bao"), *words], {"HOME": str(self.folder.path)})
        end = time.monotonic() + 20
        while not list(certificates.glob("*ca.pem")):
            assert time.monotonic() < end, "OpenBao wrote no certificate"
            time.sleep(0.05)
        return str(next(certificates.glob("*ca.pem")))

    def _box(self, box: str) -> None:
        environment = settings.s3_environment(self.folder, self.chain) if box == "s3" else {}
        self._start([*PROGRAM, *settings.command(self.folder, self.chain, box)], environment)

    def _start(self, words: list[str], environment: dict[str, str]) -> None:
        full = {**os.environ, **environment}
        self.processes.append(subprocess.Popen(words, env=full, stdout=subprocess.DEVNULL, stderr=sys.stderr))

    def _wait(self, client: Client, path: str) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            assert all(process.poll() is None for process in self.processes)
            try:
                if client.ask("GET", path).status == 200:
                    return
            except Unavailable:
                pass
            time.sleep(0.05)
        raise AssertionError(f"{client.url}{path} is not ready")

    def environment(self, admin: bool = False) -> dict[str, str]:
        return {**os.environ, **env.values(self.folder, admin)}

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait(15)
