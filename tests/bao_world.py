"""A development server of OpenBao with the engines, policy and AppRole that a key server needs."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import peers

from strongroom.errors import Unavailable
from strongroom.kes.domain.settings import VaultLogin, VaultSettings
from strongroom.sdk.vault import VaultClient

# The rights of the first guide's policy, for KV v1, v2 and transit, and listing on top.
POLICY = """
path "kv/*" { capabilities = ["create", "read", "delete", "list"] }
path "kv2/data/*" { capabilities = ["create", "read"] }
path "kv2/metadata/*" { capabilities = ["list", "delete", "read"] }
path "transit/encrypt/*" { capabilities = ["update"] }
path "transit/decrypt/*" { capabilities = ["update"] }
path "tight/minio/only" { capabilities = ["create", "read", "delete"] }
"""


@dataclass
class Bao:
    """A running server: its address, a root client, and the settings of a key store in it."""

    process: subprocess.Popen[bytes]
    root: VaultClient
    settings: VaultSettings

    def store(self, **changes: object) -> VaultSettings:
        """Return the key store's settings, changed."""
        return replace(self.settings, **changes)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def bao(folder: Path, *, period: str = "5m") -> AsyncIterator[Bao]:
    """Run a server; skip the test when OpenBao is not installed."""
    program, port = peers.find("bao"), free_port()
    address = f"http://127.0.0.1:{port}"
    with open(folder / "bao.log", "wb") as log:
        process = subprocess.Popen(
            [program, "server", "-dev", "-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{port}"],
            stdout=log,
            stderr=log,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
        )
    root = VaultClient(address, token="root", retries=0)
    try:
        await _wait(root)
        yield Bao(process, root, await _prepare(root, address, period))
    finally:
        await root.close()
        process.terminate()
        process.wait(10)


async def _wait(root: VaultClient) -> None:
    for _ in range(200):
        try:
            if not (await root.health()).sealed:
                return
        except Unavailable:
            await asyncio.sleep(0.05)
    raise TimeoutError("OpenBao did not start")


async def _prepare(root: VaultClient, address: str, period: str) -> VaultSettings:
    for path, options in (("kv", {"version": "1"}), ("kv2", {"version": "2"}), ("tight", {"version": "1"})):
        await root.write(f"sys/mounts/{path}", {"type": "kv", "options": options})
    await root.write("sys/mounts/transit", {"type": "transit"})
    await root.call("POST", "transit/keys/wrap", {})
    await root.write("sys/policies/acl/kes", {"policy": POLICY})
    await root.write("sys/auth/approle", {"type": "approle"})
    await root.write("auth/approle/role/kes", {"token_policies": ["kes"], "token_period": period})
    role = (await root.read("auth/approle/role/kes/role-id"))["role_id"]
    secret = (await root.call("POST", "auth/approle/role/kes/secret-id", {}))["data"]["secret_id"]
    for _ in range(100):  # a new KV v2 mount answers 400 while it upgrades itself
        try:
            await root.list("kv2/metadata")
            break
        except Exception:
            await asyncio.sleep(0.05)
    return VaultSettings(address, VaultLogin("approle", "approle", id=role, secret=secret), ping=1.0)
