"""The recorded hvac session, call by call, against our server: the same outcome, members and exceptions."""

import json
import sys
from pathlib import Path

import hvac
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kms_server import KmsProcess

CALLS = json.loads((Path(__file__).parents[1] / "vectors/kms/hvac.json").read_text())["calls"]
POLICY = 'path "kv1/*" {\n  capabilities = ["read", "create", "update", "list", "delete"]\n}\n'
OBJECT = {"path": {"kv1/*": {"capabilities": ["read", "create", "update", "list", "delete"]}}}


class Session:
    """The state that recorded calls share."""

    def __init__(self, url, folder):
        self.c, self.folder, self.known = hvac.Client(url), folder, {}

    def keep(self, name, value):
        self.known[name] = value
        return value

    def initialize(self):
        made = self.keep("init", self.c.sys.initialize(5, 3))
        return made

    def key(self, number):
        return self.known["init"]["keys_base64"][number]

    def as_token(self, token, work):
        own, self.c.token = self.c.token, token
        try:
            return work()
        finally:
            self.c.token = own


def table(s):
    """Return what each recorded call does, by its text."""
    c, known = s.c, s.known
    sys_, v1, v2 = c.sys, c.secrets.kv.v1, c.secrets.kv.v2
    role, token, transit = c.auth.approle, c.auth.token, c.secrets.transit

    def root():
        c.token = known["init"]["root_token"]
        return c.is_authenticated()

    def login():
        return s.keep("login", role.login(known["rid"], known["sid"]["secret_id"], use_token=False))

    def make_secret():
        made = role.generate_secret_id("r")
        s.keep("sid", made["data"])
        return made

    def make_token():
        made = token.create(policies=["p"], ttl="1h")
        s.keep("tok", made["auth"])
        return made

    def encrypt():
        made = transit.encrypt_data("k", plaintext="aGVsbG8=")
        s.keep("ct", made["data"]["ciphertext"])
        return made

    def rekey():
        return sys_.rekey_multi([s.key(n) for n in range(3)], nonce=known["rekey"]["nonce"])

    def wrap():
        made = sys_.wrap({"a": "b"}, ttl=60)
        s.keep("wt", made["wrap_info"]["token"])
        return made

    def mine():
        return known["login"]["auth"]["client_token"]

    return {
        "sys.is_initialized()": sys_.is_initialized,
        "sys.read_health_status()": sys_.read_health_status,
        "sys.read_health_status(method='GET')": lambda: sys_.read_health_status(method="GET"),
        "sys.initialize(5, 3)": s.initialize,
        "sys.is_sealed()": sys_.is_sealed,
        "sys.submit_unseal_key(k1)": lambda: sys_.submit_unseal_key(s.key(0)),
        "sys.submit_unseal_key(reset=True)": lambda: sys_.submit_unseal_key(reset=True),
        "sys.submit_unseal_keys([k1, k2, k3])": lambda: sys_.submit_unseal_keys([s.key(n) for n in range(3)]),
        "is_authenticated() without token": c.is_authenticated,
        "is_authenticated()": root,
        "sys.read_seal_status()": sys_.read_seal_status,
        "sys.read_leader_status()": sys_.read_leader_status,
        "sys.read_health_status(method='GET') active": lambda: sys_.read_health_status(method="GET"),
        "sys.enable_secrets_engine('kv', path='kv1')": lambda: sys_.enable_secrets_engine("kv", path="kv1"),
        "sys.enable_secrets_engine('kv', path='kv2', options={'version': '2'})": lambda: sys_.enable_secrets_engine(
            "kv", path="kv2", options={"version": "2"}
        ),
        "sys.list_mounted_secrets_engines()": sys_.list_mounted_secrets_engines,
        "sys.tune_mount_configuration('kv1', default_lease_ttl='1h')": lambda: sys_.tune_mount_configuration(
            "kv1", default_lease_ttl="1h"
        ),
        "sys.read_mount_configuration('kv1')": lambda: sys_.read_mount_configuration("kv1"),
        "sys.move_backend('kv1', 'kvm')": lambda: sys_.move_backend("kv1", "kvm"),
        "sys.disable_secrets_engine('kvm')": lambda: sys_.disable_secrets_engine("kvm"),
        "sys.enable_secrets_engine('kv', path='kv1') again": lambda: sys_.enable_secrets_engine("kv", path="kv1"),
        "sys.enable_auth_method('approle')": lambda: sys_.enable_auth_method("approle"),
        "sys.list_auth_methods()": sys_.list_auth_methods,
        "sys.tune_auth_method('approle', description='d')": lambda: sys_.tune_auth_method("approle", description="d"),
        "sys.read_auth_method_tuning('approle')": lambda: sys_.read_auth_method_tuning("approle"),
        "sys.create_or_update_policy('p', 'path ...')": lambda: sys_.create_or_update_policy("p", POLICY),
        "sys.create_or_update_policy('p', {'path': ...})": lambda: sys_.create_or_update_policy("p", OBJECT),
        "sys.list_policies()": sys_.list_policies,
        "sys.read_policy('p')": lambda: sys_.read_policy("p"),
        "get_policy('p')": lambda: c.get_policy("p"),
        "sys.list_acl_policies()": sys_.list_acl_policies,
        "sys.read_acl_policy('p')": lambda: sys_.read_acl_policy("p"),
        "sys.read_policy('none')": lambda: sys_.read_policy("none"),
        "sys.get_capabilities(['kv1/a'])": lambda: sys_.get_capabilities(["kv1/a"]),
        "kv.v1.create_or_update_secret": lambda: v1.create_or_update_secret("a", {"x": "1"}, mount_point="kv1"),
        "kv.v1.read_secret": lambda: v1.read_secret("a", mount_point="kv1"),
        "kv.v1.list_secrets": lambda: v1.list_secrets("", mount_point="kv1"),
        "kv.v1.delete_secret": lambda: v1.delete_secret("a", mount_point="kv1"),
        "kv.v1.read_secret missing": lambda: v1.read_secret("a", mount_point="kv1"),
        "kv.v2.configure(max_versions=5)": lambda: v2.configure(max_versions=5, mount_point="kv2"),
        "kv.v2.read_configuration": lambda: v2.read_configuration(mount_point="kv2"),
        "kv.v2.create_or_update_secret": lambda: v2.create_or_update_secret("a", {"x": "1"}, mount_point="kv2"),
        "kv.v2.create_or_update_secret cas=0": lambda: v2.create_or_update_secret("a", {}, cas=0, mount_point="kv2"),
        "kv.v2.patch": lambda: v2.patch("a", {"y": "2"}, mount_point="kv2"),
        "kv.v2.read_secret_version": lambda: v2.read_secret_version(
            "a", mount_point="kv2", raise_on_deleted_version=True
        ),
        "kv.v2.read_secret_metadata": lambda: v2.read_secret_metadata("a", mount_point="kv2"),
        "kv.v2.update_metadata": lambda: v2.update_metadata("a", custom_metadata={"o": "ann"}, mount_point="kv2"),
        "kv.v2.delete_latest_version_of_secret": lambda: v2.delete_latest_version_of_secret("a", mount_point="kv2"),
        "kv.v2.read_secret_version deleted, raise_on_deleted_version=False": lambda: v2.read_secret_version(
            "a", mount_point="kv2", raise_on_deleted_version=False
        ),
        "kv.v2.read_secret_version deleted, raising": lambda: v2.read_secret_version(
            "a", mount_point="kv2", raise_on_deleted_version=True
        ),
        "kv.v2.undelete_secret_versions": lambda: v2.undelete_secret_versions("a", [2], mount_point="kv2"),
        "kv.v2.destroy_secret_versions": lambda: v2.destroy_secret_versions("a", [1], mount_point="kv2"),
        "kv.v2.list_secrets": lambda: v2.list_secrets("", mount_point="kv2"),
        "kv.v2.delete_metadata_and_all_versions": lambda: v2.delete_metadata_and_all_versions("a", mount_point="kv2"),
        "auth.approle.create_or_update_approle": lambda: role.create_or_update_approle("r", token_policies=["p"]),
        "auth.approle.list_roles": role.list_roles,
        "auth.approle.read_role": lambda: role.read_role("r"),
        "auth.approle.read_role_id": lambda: role.read_role_id("r"),
        "auth.approle.update_role_id": lambda: role.update_role_id("r", s.keep("rid", "own-role-id")),
        "auth.approle.generate_secret_id": make_secret,
        "auth.approle.create_custom_secret_id": lambda: role.create_custom_secret_id("r", "own-secret"),
        "auth.approle.list_secret_id_accessors": lambda: role.list_secret_id_accessors("r"),
        "auth.approle.read_secret_id": lambda: role.read_secret_id("r", known["sid"]["secret_id"]),
        "auth.approle.read_secret_id_accessor": lambda: role.read_secret_id_accessor(
            "r", known["sid"]["secret_id_accessor"]
        ),
        "auth.approle.login": login,
        "token of the login: kv read missing": lambda: s.as_token(
            mine(), lambda: v1.read_secret("zz", mount_point="kv1")
        ),
        "token of the login: sys/mounts": lambda: s.as_token(mine(), sys_.list_mounted_secrets_engines),
        "auth.approle.destroy_secret_id_accessor": lambda: role.destroy_secret_id_accessor(
            "r", known["sid"]["secret_id_accessor"]
        ),
        "auth.approle.destroy_secret_id": lambda: role.destroy_secret_id("r", "own-secret"),
        "auth.approle.delete_role": lambda: role.delete_role("r"),
        "auth.token.create(policies=['p'], ttl='1h')": make_token,
        "auth.token.lookup": lambda: token.lookup(known["tok"]["client_token"]),
        "auth.token.lookup_self": token.lookup_self,
        "auth.token.lookup_accessor": lambda: token.lookup_accessor(known["tok"]["accessor"]),
        "auth.token.renew": lambda: token.renew(known["tok"]["client_token"]),
        "auth.token.list_accessors": token.list_accessors,
        "auth.token.create_or_update_role": lambda: token.create_or_update_role("tr"),
        "auth.token.read_role": lambda: token.read_role("tr"),
        "auth.token.list_roles": token.list_roles,
        "auth.token.create(role_name='tr')": lambda: token.create(role_name="tr"),
        "auth.token.create_orphan": lambda: token.create_orphan(policies=["p"]),
        "auth.token.revoke_accessor": lambda: token.revoke_accessor(known["tok"]["accessor"]),
        "auth.token.revoke unknown": lambda: token.revoke("nonsense"),
        "auth.token.lookup unknown": lambda: token.lookup("nonsense"),
        "sys.wrap({'a': 'b'}, ttl=60)": wrap,
        "sys.unwrap(token)": lambda: sys_.unwrap(known["wt"]),
        "sys.unwrap(token) again": lambda: sys_.unwrap(known["wt"]),
        "sys.list_enabled_audit_devices()": sys_.list_enabled_audit_devices,
        "sys.enable_audit_device('file')": lambda: sys_.enable_audit_device(
            "file", options={"file_path": str(s.folder / "audit.log")}
        ),
        "sys.calculate_hash('file', 'x')": lambda: sys_.calculate_hash("file", "x"),
        "sys.disable_audit_device('file')": lambda: sys_.disable_audit_device("file"),
        "sys.read_key_status? (get_encryption_key_status)": c.sys.get_encryption_key_status,
        "sys.rotate_encryption_key()": sys_.rotate_encryption_key,
        "sys.list_leases('auth/token/create')": lambda: sys_.list_leases("auth/token/create"),
        "sys.read_lease('x')": lambda: sys_.read_lease("x"),
        "sys.revoke_lease('x')": lambda: sys_.revoke_lease("x"),
        "sys.revoke_prefix('auth/approle')": lambda: sys_.revoke_prefix("auth/approle"),
        "sys.read_root_generation_progress()": sys_.read_root_generation_progress,
        "sys.start_root_token_generation()": sys_.start_root_token_generation,
        "sys.cancel_root_generation()": sys_.cancel_root_generation,
        "sys.read_rekey_progress()": sys_.read_rekey_progress,
        "sys.start_rekey(1, 1)": lambda: s.keep("rekey", sys_.start_rekey(1, 1)),
        "sys.rekey_multi": rekey,
        "transit.create_key": lambda: transit.create_key("k"),
        "transit.read_key": lambda: transit.read_key("k"),
        "transit.list_keys": transit.list_keys,
        "transit.encrypt_data": encrypt,
        "transit.decrypt_data": lambda: transit.decrypt_data("k", known["ct"]),
        "transit.rotate_key": lambda: transit.rotate_key("k"),
        "transit.rewrap_data": lambda: transit.rewrap_data("k", known["ct"]),
        "transit.generate_data_key": lambda: transit.generate_data_key("k", "plaintext"),
        "transit.generate_hmac": lambda: transit.generate_hmac("k", "bXNn"),
        "transit.generate_random_bytes": lambda: transit.generate_random_bytes(16),
        "transit.hash_data": lambda: transit.hash_data("bXNn"),
        "transit.update_key_configuration": lambda: transit.update_key_configuration("k", deletion_allowed=True),
        "transit.delete_key": lambda: transit.delete_key("k"),
        "read('kv1/none')": lambda: c.read("kv1/none"),
        "write('kv1/z', a='b')": lambda: c.write_data("kv1/z", data={"a": "b"}),
        "list('kv1')": lambda: c.list("kv1"),
        "delete('kv1/z')": lambda: c.delete("kv1/z"),
        "logout(revoke_token=True)": lambda: s.keep("old", c.token) and c.logout(revoke_token=True),
        "bad token: read": lambda: s.as_token("nonsense", lambda: c.read("kv1/none")),
        "sys.seal() with the revoked root token": lambda: s.as_token(known["old"], sys_.seal),
    }


@pytest.mark.filterwarnings("ignore:The raise_on_deleted_version")  # of hvac, calling itself
def test_the_recorded_session(tmp_path):
    with KmsProcess(tmp_path) as kms:
        session = Session(kms.url, tmp_path)
        problems, skipped = [], []
        for recorded in CALLS:
            name = recorded["call"]
            work = table(session).get(name)
            if work is None:
                skipped.append(name)
                if "transit" in name and "enable" in name:
                    session.c.sys.enable_secrets_engine("transit")
                continue
            if name == "transit.create_key" and "transit/" not in session.c.sys.list_mounted_secrets_engines()["data"]:
                session.c.sys.enable_secrets_engine("transit")
            try:
                problems += compare(recorded, work)
            except KeyError as error:
                problems.append(f"{name}: no {error} from an earlier call")
        assert not problems, "\n".join(problems)
        assert len(skipped) <= 3, skipped


def compare(recorded, work):
    name = recorded["call"]
    try:
        found = work()
    except hvac.exceptions.VaultError as error:
        if recorded["ok"] or type(error).__name__ != recorded["exception"]:
            return [f"{name}: {type(error).__name__}: {error}"]
        return []
    if not recorded["ok"]:
        return [f"{name}: worked, the original raised {recorded['exception']}"]
    if type(found).__name__ != recorded["type"]:
        return [f"{name}: {type(found).__name__}, the original returned {recorded['type']}"]
    if "status" in recorded and found.status_code != recorded["status"]:
        return [f"{name}: {found.status_code}, wanted {recorded['status']}"]
    if "keys" in recorded:
        missing = set(recorded["keys"]) - set(found)
        return [f"{name}: lacks {sorted(missing)}"] if missing else []
    if "value" in recorded and name != "get_policy('p')" and found != recorded["value"]:
        return [f"{name}: {found!r}, wanted {recorded['value']!r}"]
    return []
