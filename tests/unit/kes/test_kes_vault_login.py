"""Logins and token life against a small double of a Vault."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from strongroom.errors import BadSettings, Malformed
from strongroom.kes.domain.errors import KeyNotFound, StoreShut, StoreUnreachable
from strongroom.kes.domain.settings import VaultLogin, VaultSettings
from strongroom.kes.storage import vault_token
from strongroom.kes.storage.vault import VaultStore
from strongroom.messages import Body, Request, Response
from strongroom.net.server import listen


class Vault:
    """Logs in whoever comes; tokens live for `lease` seconds and renewals answer `renewal`."""

    def __init__(self) -> None:
        self.lease, self.renewal = 0.0, 200
        self.logins: list[tuple[str, dict[str, str], str]] = []
        self.renewals = 0
        self.refuse = 0  # the status of a login that is refused
        self.token = ""

    def __call__(self, request: Request, body: Body) -> Response:
        if request.path.endswith("/login"):
            if self.refuse:
                return Response(self.refuse, (), b'{"errors":["no"]}')
            document, namespace = json.loads(body.buffered or b""), request.headers.get("x-vault-namespace", "")
            self.logins.append((request.path, document, namespace))
            self.token = f"token-{len(self.logins)}"
            return self._auth()
        if request.path == "/v1/sys/health":
            assert "x-vault-namespace" not in request.headers
            return Response(200, (), b'{"initialized":true,"sealed":false}')
        if request.headers.get("x-vault-token") != self.token:
            return Response(403, (), b'{"errors":["permission denied"]}')
        if request.path == "/v1/auth/token/renew-self":
            self.renewals += 1
            return self._auth() if self.renewal == 200 else Response(self.renewal, (), b'{"errors":["no"]}')
        return Response(404, (), b'{"errors":[]}')

    def _auth(self) -> Response:
        auth = {"client_token": self.token, "lease_duration": self.lease, "renewable": True}
        return Response(200, (), json.dumps({"auth": auth}).encode())


@pytest.fixture
async def vault() -> AsyncIterator[tuple[Vault, str]]:
    double = Vault()
    server = await listen(double, "127.0.0.1", 0)
    yield double, f"http://127.0.0.1:{server.port}"
    await server.stop(0)


async def test_kubernetes_reads_its_token_at_every_login(vault: tuple[Vault, str], tmp_path: Path) -> None:
    double, url = vault
    (tmp_path / "jwt").write_text("first")
    login = VaultLogin("kubernetes", "k8s", "/", role="kes", jwt=str(tmp_path / "jwt"))
    store = await VaultStore.connect(VaultSettings(url, login, namespace="team"), print)
    (tmp_path / "jwt").write_text("second")
    double.token = "revoked"
    with pytest.raises(KeyNotFound):
        await store.get("mine")
    assert double.logins == [
        ("/v1/auth/k8s/login", {"role": "kes", "jwt": "first"}, ""),  # "/" is the root namespace
        ("/v1/auth/k8s/login", {"role": "kes", "jwt": "second"}, ""),
    ]
    await store.close()


async def test_a_missing_token_file_is_said(vault: tuple[Vault, str], tmp_path: Path) -> None:
    login = VaultLogin("kubernetes", "kubernetes", role="kes", jwt=str(tmp_path / "none"))
    with pytest.raises(BadSettings, match="failed to read vault kubernetes JWT"):
        await VaultStore.connect(VaultSettings(vault[1], login), print)


async def test_approle_logs_in_within_the_namespace(vault: tuple[Vault, str]) -> None:
    double, url = vault
    login = VaultLogin("approle", "approle", id="r", secret="s")
    store = await VaultStore.connect(VaultSettings(url, login, namespace="team"), print)
    assert double.logins == [("/v1/auth/approle/login", {"role_id": "r", "secret_id": "s"}, "team")]
    await store.close()


@pytest.mark.parametrize(("renewal", "renewed"), [(200, True), (403, False)])
async def test_tokens_are_renewed_or_replaced(
    renewal: int, renewed: bool, vault: tuple[Vault, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vault_token, "SHORT_SECONDS", 0.05)
    double, url = vault
    double.lease, double.renewal = 0.2, renewal
    store = await VaultStore.connect(VaultSettings(url, VaultLogin("approle", "approle", id="r", secret="s")), print)
    for _ in range(200):
        if double.renewals >= 2:
            break
        await asyncio.sleep(0.02)
    assert double.renewals >= 2
    assert (len(double.logins) == 1) is renewed
    await store.close()


async def test_a_refused_login_is_an_error_at_start(vault: tuple[Vault, str], monkeypatch: pytest.MonkeyPatch) -> None:
    double, url = vault
    monkeypatch.setattr(double, "_auth", lambda: Response(400, (), b'{"errors":["invalid role or secret ID"]}'))
    with pytest.raises(Malformed, match="invalid role or secret ID"):
        await VaultStore.connect(VaultSettings(url, VaultLogin("approle", "approle", id="r", secret="s")), print)


async def test_a_login_that_is_gone_is_told_from_a_policy_that_denies(vault: tuple[Vault, str]) -> None:
    double, url = vault
    store = await VaultStore.connect(VaultSettings(url, VaultLogin("approle", "approle", id="r", secret="s")), print)
    double.token = "revoked"
    double.refuse = 403
    with pytest.raises(StoreShut):
        await store.get("mine")
    double.refuse = 503
    with pytest.raises(StoreUnreachable):
        await store.get("mine")
    await store.close()
