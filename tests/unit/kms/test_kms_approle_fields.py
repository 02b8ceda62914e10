"""AppRole and userpass: routes that set one field set no other, and what roles are told (seen from OpenBao 2.7.2)."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kms_replay import ask, post, unsealed

ROLE = "auth/approle/role/r"


def _certificate():
    """Return a certificate's PEM."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


PEM = _certificate()


async def world(folder):
    replay = await unsealed(folder)
    await ask(replay, "POST", "sys/auth/approle", {"type": "approle"})
    await ask(replay, "POST", ROLE, {"token_ttl": "5m", "role_id": "id"})
    return replay


async def role(replay):
    return (await ask(replay, "GET", ROLE))["data"]


@pytest.mark.parametrize("field", ["token-ttl", "token-num-uses", "secret-id-bound-cidrs", "bound-cidr-list", "period"])
async def test_a_field_s_route_changes_that_field_alone(tmp_path, field):
    replay = await world(tmp_path)
    before = await role(replay)
    body = {"token_policies": "admin", "policies": "admin", "bind_secret_id": False, "token_max_ttl": "9h"}
    own = {"bound-cidr-list": "10.0.0.0/8", "secret-id-bound-cidrs": "10.0.0.0/8"}.get(field, 7)
    name = field.replace("-", "_")
    await ask(replay, "POST", f"{ROLE}/{field}", body | {name: own})
    changed = {key for key, value in (await role(replay)).items() if before.get(key) != value}
    shown = {"period": {"period", "token_period"}, "bound-cidr-list": {"secret_id_bound_cidrs"}}
    assert changed == shown.get(field, {name})


async def test_a_user_s_policies_and_password_have_routes_of_their_own(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/userpass", {"type": "userpass"})
    await ask(replay, "POST", "auth/userpass/users/u", {"password": "first"})
    await ask(replay, "POST", "auth/userpass/users/u/policies", {"policies": "a", "token_ttl": "9h"})
    await ask(replay, "POST", "auth/userpass/users/u/password", {"password": "next", "policies": "admin"})
    found = (await ask(replay, "GET", "auth/userpass/users/u"))["data"]
    assert (found["token_policies"], found["token_ttl"]) == (["a"], 0)


@pytest.mark.parametrize(
    ("field", "missing"),
    [
        ("policies", "token_policies"),
        ("period", "period"),
        ("token-ttl", "token_ttl"),
        ("secret-id-ttl", "secret_id_ttl"),
    ],
)
async def test_a_field_s_route_wants_the_field(tmp_path, field, missing):
    replay = await world(tmp_path)
    answer = await post(replay, f"{ROLE}/{field}", {}, replay.known["root"])
    assert answer == (400, {"errors": [f"missing {missing}"]})


async def test_fields_of_a_role_that_is_not_there(tmp_path):
    replay = await world(tmp_path)
    assert await ask(replay, "DELETE", "auth/approle/role/none/period") == {}
    headers = {"X-Vault-Token": replay.known["root"]}
    for method in ("POST", "DELETE"):
        answer = await replay.request(method, f"/v1/{ROLE}/local-secret-ids", headers, b"")
        assert answer.status == 405, method


async def test_types_and_lifetimes_that_mean_something_else(tmp_path):
    replay = await world(tmp_path)
    answer = await ask(replay, "POST", ROLE, {"token_type": "default-batch"})
    assert answer["warnings"] == ["default-batch has no useful meaning; adjusting to batch"]
    assert (await role(replay))["token_type"] == "batch"
    answer = await ask(replay, "POST", ROLE, {"token_max_ttl": "900h"})
    assert "truncated" in answer["warnings"][0]
    status, answer = await post(replay, ROLE, {"role_id": ""}, replay.known["root"])
    assert (status, answer["errors"]) == (400, ["invalid role_id supplied, or failed to generate a role_id"])


async def test_a_secret_id_may_come_with_the_line_end_of_its_file(tmp_path):
    replay = await world(tmp_path)
    secret = (await ask(replay, "PUT", f"{ROLE}/secret-id"))["data"]["secret_id"]
    login = {"role_id": "id", "secret_id": secret + "\n"}
    assert (await post(replay, "auth/approle/login", login))[0] == 200


OLDER = {"ttl": "1h", "max_ttl": "2h", "bound_cidrs": "10.0.0.0/8", "policies": "a"}


@pytest.mark.parametrize(
    ("kind", "path", "more"),
    [
        ("userpass", "users/u", {"password": "p"}),
        ("kubernetes", "role/r", {"bound_service_account_names": "a", "bound_service_account_namespaces": "b"}),
        ("cert", "certs/c", {"certificate": PEM}),
    ],
)
async def test_older_names_of_limits_are_kept(tmp_path, kind, path, more):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", f"sys/auth/{kind}", {"type": kind})
    await ask(replay, "POST", f"auth/{kind}/{path}", OLDER | more)
    found = (await ask(replay, "GET", f"auth/{kind}/{path}"))["data"]
    for name, value in {"ttl": 3600, "max_ttl": 7200, "bound_cidrs": ["10.0.0.0/8"], "policies": ["a"]}.items():
        assert found[name] == found[f"token_{name}"] == value
    await ask(replay, "POST", f"auth/{kind}/{path}", {"token_ttl": "5m"})
    found = (await ask(replay, "GET", f"auth/{kind}/{path}"))["data"]
    assert (found["token_ttl"], "ttl" in found, found["max_ttl"]) == (300, False, 7200)
    if kind == "userpass":  # from another address
        assert (await post(replay, "auth/userpass/login/u", {"password": "p"}))[0] == 403


@pytest.mark.parametrize("demand", [{"required_extensions": "1.2:*x"}, {"ocsp_enabled": True}])
async def test_a_trusted_certificate_may_not_rely_on_what_is_not_looked_at(tmp_path, demand):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/cert", {"type": "cert"})
    status, answer = await post(replay, "auth/cert/certs/c", {"certificate": PEM} | demand, replay.known["root"])
    assert (status, "is not supported" in answer["errors"][0]) == (400, True)
