"""The first start of a chain: what a person would type into `vault` and `kes`, once, in order.

Every step looks whether it is done already, so that a start which was cut off is finished by the next one.
"""

import json
from dataclasses import dataclass
from typing import Any

from strongroom.chain.folder import Folder, write_file
from strongroom.errors import Error, Unavailable
from strongroom.sdk.blocking import Answer, Client

MOUNT = "kv"
PREFIX = "kes"
DEFAULT_KEY = "strongroom-default"
BEGUN = "initialising"  # a file that is there from before the kms is initialised until its share is kept
LEASE = "87600h"  # ten years: the operator's token is renewed at every start, and lasts when nobody starts
KES_POLICY = f"""
# what a key server needs: master keys are created, read and deleted, never overwritten
path "{MOUNT}/{PREFIX}/*" {{
  capabilities = ["create", "read", "delete", "list"]
}}
"""
OPERATOR_POLICY = """
# everything an operator does; the root token is revoked after set-up
path "*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]
}
"""


@dataclass(frozen=True, slots=True, repr=False)
class Unseal:
    """The unseal share and, until set-up is complete, the root token. Lies in secrets/unseal."""

    share: str
    root_token: str = ""

    def to_bytes(self) -> bytes:
        return (json.dumps({"share": self.share, "root_token": self.root_token}) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Unseal":
        return cls(**json.loads(data))


class Setup:
    """Brings a running kms to the state that a chain needs."""

    def __init__(self, folder: Folder, kms: Client) -> None:
        self._folder = folder
        self._kms = kms
        self._unseal_file = folder.secret("unseal")

    def unseal(self) -> None:
        """Initialise the kms if it is new, and unseal it if it is sealed."""
        state = self._get("/v1/sys/seal-status")
        if not state["initialized"]:
            self._initialise()
        if not state["initialized"] or state["sealed"]:
            share = Unseal.from_bytes(self._unseal_file.read_bytes()).share
            if self._do("PUT", "/v1/sys/unseal", {"key": share})["sealed"]:
                raise Error(f"the kms stays sealed: {self._unseal_file} holds one share, it needs more")

    def _initialise(self) -> None:
        """Initialise the kms; its only share is in our hands until it lies in the folder (see forget_unfinished)."""
        begun = self._folder.secret(BEGUN)
        write_file(begun, b"")
        made = self._do("PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        write_file(self._unseal_file, Unseal(made["keys_base64"][0], made["root_token"]).to_bytes())
        begun.unlink()

    def finish(self) -> None:
        """Mount KV, write policies, make the AppRole and the operator's token; then revoke the root token."""
        unseal = Unseal.from_bytes(self._unseal_file.read_bytes())
        if not unseal.root_token:
            return
        if not self._revoked(unseal.root_token):
            self.equip(unseal.root_token)
            self._do("POST", "/v1/auth/token/revoke-self")
        write_file(self._unseal_file, Unseal(unseal.share).to_bytes())
        self._kms.headers = {}

    def _revoked(self, root_token: str) -> bool:
        """Say whether the root token is gone already: then all was made, and only its trace here is left."""
        answer = self._kms.ask("GET", "/v1/auth/token/lookup-self", None, {"X-Vault-Token": root_token})
        return answer.status == 403 and self._folder.secret("operator-token").exists()

    def equip(self, root_token: str) -> None:
        """Make what the chain needs in a kms: mount, policies, AppRole, operator's token."""
        self._kms.headers = {"X-Vault-Token": root_token}
        if f"{MOUNT}/" not in self._get("/v1/sys/mounts").get("data", {}):
            self._do("POST", f"/v1/sys/mounts/{MOUNT}", {"type": "kv", "options": {"version": "1"}})
        self._do("PUT", "/v1/sys/policies/acl/kes", {"policy": KES_POLICY})
        self._do("PUT", "/v1/sys/policies/acl/operator", {"policy": OPERATOR_POLICY})
        self._make_approle()
        self._make_operator()

    def _make_approle(self) -> None:
        if "approle/" not in self._get("/v1/sys/auth").get("data", {}):
            self._do("POST", "/v1/sys/auth/approle", {"type": "approle"})
        role = "/v1/auth/approle/role/kes"
        self._do("POST", role, {"token_policies": "kes", "token_period": "5m", "secret_id_num_uses": 0})
        identifier = self._get(f"{role}/role-id")["data"]["role_id"]
        secret = self._do("POST", f"{role}/secret-id")["data"]["secret_id"]
        write_file(self._folder.secret("approle"), json.dumps({"id": identifier, "secret": secret}).encode())

    def _make_operator(self) -> None:
        wish = {"policies": ["operator"], "no_parent": True, "ttl": LEASE, "display_name": "operator"}
        token = self._do("POST", "/v1/auth/token/create", wish)["auth"]["client_token"]
        write_file(self._folder.secret("operator-token"), token.encode() + b"\n")

    def _get(self, path: str) -> Any:
        return self._do("GET", path)

    def _do(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._kms.ask(method, path, body)
        if answer.status >= 400:
            raise Error(f"kms: {method} {path}: {_reason(answer)}")
        return answer.json() or {}


def forget_unfinished(folder: Folder) -> None:
    """Remove the storage of a kms that was initialised while nobody kept its share: nobody can ever open it.

    To be called before the kms starts. Only a set-up that was cut off right there leaves that: nothing was made yet.
    """
    begun = folder.secret(BEGUN)
    later = (folder.secret("unseal"), folder.secret("approle"), folder.secret("operator-token"))
    if begun.exists() and not any(file.exists() for file in later):
        for file in (folder / "kms").glob("kms.db*"):
            file.unlink()
    begun.unlink(missing_ok=True)


def renew_operator(kms: Client, token: str) -> None:
    """Prolong the operator's token; an operator who revoked it stays without one."""
    kms.ask("POST", "/v1/auth/token/renew-self", {}, {"X-Vault-Token": token})


def create_default_key(kes: Client) -> None:
    """Make the key that objects are encrypted under; one that exists is left alone."""
    answer = kes.ask("PUT", f"/v1/key/create/{DEFAULT_KEY}")
    if answer.status != 200 and "exists" not in _reason(answer):
        raise Unavailable(f"kes: creating key {DEFAULT_KEY}: {_reason(answer)}")


def _reason(answer: Answer) -> str:
    content = answer.json() if answer.body[:1] == b"{" else None
    if isinstance(content, dict):
        return str(content.get("message") or "; ".join(map(str, content.get("errors") or [])) or answer.status)
    return f"status {answer.status}"
