"""Logins by password, by client certificate and by a Kubernetes service account."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kms_replay import ask, post, unsealed

from strongroom.kms.domain.errors import Forbidden
from strongroom.kms.domain.ports import Review, ReviewRequest
from strongroom.kms.outside.kubernetes import review_token
from strongroom.messages import Response
from strongroom.net.server import listen


async def test_userpass(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/userpass", {"type": "userpass"})
    user = {"password": "s3cret", "token_policies": "default", "token_ttl": "1h"}
    await ask(replay, "POST", "auth/userpass/users/Ann", user)
    assert (await ask(replay, "LIST", "auth/userpass/users"))["data"]["keys"] == ["ann"]
    shown = (await ask(replay, "GET", "auth/userpass/users/ann"))["data"]
    assert shown["token_ttl"] == 3600
    assert not {"hash", "salt", "password"} & set(shown)
    status, made = await post(replay, "auth/userpass/login/ANN", {"password": "s3cret"})
    assert (status, made["auth"]["lease_duration"], made["auth"]["metadata"]) == (200, 3600, {"username": "ann"})
    token = made["auth"]["client_token"]
    await ask(replay, "POST", "auth/userpass/users/ann", {"token_ttl": "2h"})
    assert (await ask(replay, "POST", "auth/token/renew-self", {}, token=token))["auth"]["lease_duration"] == 7200
    assert await post(replay, "auth/userpass/login/nobody", {"password": "x"}) == (
        400,
        {"errors": ["invalid username or password"]},
    )
    await ask(replay, "POST", "auth/userpass/users/ann/password", {"password": "other"})
    assert (await post(replay, "auth/userpass/login/ann", {"password": "s3cret"}))[0] == 400
    assert (await post(replay, "auth/userpass/login/ann", {"password": "other"}))[0] == 200
    await ask(replay, "DELETE", "auth/userpass/users/ann")
    assert (await post(replay, "auth/userpass/login/ann", {"password": "other"}))[0] == 400
    assert (await post(replay, "auth/token/renew-self", {}, token))[0] == 500


async def test_five_wrong_passwords_lock_for_a_quarter_of_an_hour(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/userpass", {"type": "userpass"})
    await ask(replay, "POST", "auth/userpass/users/ann", {"password": "right"})
    for _ in range(5):
        assert (await post(replay, "auth/userpass/login/ann", {"password": "wrong"}))[0] == 400
    assert (await post(replay, "auth/userpass/login/ann", {"password": "right"}))[0] == 403
    replay.clock.ahead += 16 * 60 * 10**9
    assert (await post(replay, "auth/userpass/login/ann", {"password": "right"}))[0] == 200


def certificate(name, issuer=None, authority=False, days=30, serial=None):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    parent, signer = (subject, key) if issuer is None else (issuer[0].subject, issuer[1])
    builder = x509.CertificateBuilder(parent, subject, key.public_key(), serial or x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=60)).not_valid_after(
        now + datetime.timedelta(days=days)
    )
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256()), key


def der(made):
    return made[0].public_bytes(serialization.Encoding.DER)


def pem(made):
    return made[0].public_bytes(serialization.Encoding.PEM).decode()


async def test_cert(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/cert", {"type": "cert"})
    authority = certificate("ca", authority=True)
    middle = certificate("middle", authority, authority=True)
    ann, bob = certificate("ann.example", authority), certificate("bob.other", authority)
    deep, late = certificate("deep.example", middle), certificate("late.example", authority, days=-1)
    alone, forged = certificate("alone"), certificate("ann.example")
    trusted = {"certificate": pem(authority), "allowed_names": "*.example", "token_ttl": "10m"}
    await ask(replay, "POST", "auth/cert/certs/web", trusted)
    await ask(replay, "POST", "auth/cert/certs/one", {"certificate": pem(alone), "token_policies": "p"})

    async def login(*chain, **body):
        return await post(replay, "auth/cert/login", body, certificates=tuple(der(c) for c in chain))

    status, made = await login(ann)
    assert (status, made["auth"]["lease_duration"], made["auth"]["metadata"]["cert_name"]) == (200, 600, "web")
    assert (await login(deep, middle))[0] == 200
    assert (await login(alone))[1]["auth"]["policies"] == ["default", "p"]
    for chain in ((bob,), (deep,), (late,), (forged,), (forged, authority), (middle,)):
        assert (await login(*chain))[0] == 400, chain[0][0].subject
    assert (await login())[1] == {"errors": ["invalid certificate or no client certificate supplied"]}
    assert (await login(ann, name="one"))[0] == 400
    token = made["auth"]["client_token"]
    assert (await post(replay, "auth/token/renew-self", {}, token))[0] == 500
    assert (await post(replay, "auth/token/renew-self", {}, token, certificates=(der(ann),)))[0] == 200
    alike = certificate("ann.example", serial=ann[0].serial_number)  # anybody can make it
    assert (await post(replay, "auth/token/renew-self", {}, token, certificates=(der(alike),)))[0] == 500
    await ask(replay, "POST", "auth/cert/certs/web", {"token_policies": "more"})
    assert (await post(replay, "auth/token/renew-self", {}, token, certificates=(der(ann),)))[0] == 500


async def test_kubernetes(tmp_path):
    replay = await unsealed(tmp_path)
    await ask(replay, "POST", "sys/auth/kubernetes", {"type": "kubernetes"})
    await ask(replay, "POST", "auth/kubernetes/config", {"kubernetes_host": "https://k8s", "token_reviewer_jwt": "r"})
    shown = (await ask(replay, "GET", "auth/kubernetes/config"))["data"]
    assert shown["token_reviewer_jwt_set"] is True
    assert "token_reviewer_jwt" not in shown
    role = {"bound_service_account_names": "kes", "bound_service_account_namespaces": "minio", "token_ttl": "5m"}
    await ask(replay, "POST", "auth/kubernetes/role/kes", role)
    asked = []

    async def review(request):
        asked.append(request)
        if request.jwt == "bad":
            raise Forbidden("permission denied")
        return Review("minio", request.jwt, "uid-1")

    replay.core.review_token = review
    status, made = await post(replay, "auth/kubernetes/login", {"role": "kes", "jwt": "kes"})
    assert (status, made["auth"]["lease_duration"]) == (200, 300)
    assert made["auth"]["metadata"]["service_account_name"] == "kes"
    assert (asked[0].host, asked[0].reviewer) == ("https://k8s", "r")
    assert (await post(replay, "auth/kubernetes/login", {"role": "kes", "jwt": "other"}))[0] == 403
    assert (await post(replay, "auth/kubernetes/login", {"role": "kes", "jwt": "bad"}))[0] == 403
    assert (await post(replay, "auth/kubernetes/login", {"role": "none", "jwt": "kes"}))[0] == 400


async def test_token_review_over_http():
    seen = []

    def cluster(request, body):
        seen.append((request.method, request.path, request.headers["authorization"], body.buffered))
        good = b'{"status":{"authenticated":true,"user":{"username":"system:serviceaccount:ns:sa","uid":"u"}}}'
        return Response(201, (), good if b'"good"' in body.buffered else b'{"status":{"authenticated":false}}')

    server = await listen(cluster, "127.0.0.1", 0)
    host = f"http://127.0.0.1:{server.port}"
    assert await review_token(ReviewRequest(host, "", "me", "good", "")) == Review("ns", "sa", "u")
    with pytest.raises(Forbidden):
        await review_token(ReviewRequest(host, "", "me", "bad", ""))
    assert seen[0][:3] == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews", "Bearer me")
    await server.stop()
