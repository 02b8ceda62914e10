"""Asks a Kubernetes cluster who a service account's token belongs to (authentication.k8s.io/v1 TokenReview)."""

import json
import ssl

from strongroom.errors import Error
from strongroom.kms.domain.errors import Failed, Forbidden
from strongroom.kms.domain.ports import Review, ReviewRequest
from strongroom.net.client import HttpClient

TIMEOUT = 10.0  # seconds
PATH = "/apis/authentication.k8s.io/v1/tokenreviews"


async def review_token(asked: ReviewRequest) -> Review:
    """Return the account; raise Forbidden for a token that the cluster refuses, Failed when it cannot be asked."""
    spec = {"token": asked.jwt} | ({"audiences": [asked.audience]} if asked.audience else {})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    tls = _trusting(asked.ca) if asked.ca else None
    headers = [("Authorization", f"Bearer {asked.reviewer}"), ("Content-Type", "application/json")]
    try:
        async with HttpClient(tls=tls) as client:
            url = asked.host.rstrip("/") + PATH
            answer = await client.request("POST", url, headers=headers, body=json.dumps(body).encode(), timeout=TIMEOUT)
        status = json.loads(answer.body).get("status") or {}
    except (Error, ValueError, AttributeError) as error:
        raise Failed("lookup of the token failed: the Kubernetes API did not answer") from error
    if answer.status not in (200, 201) or not status.get("authenticated"):
        raise Forbidden("permission denied")
    user = status.get("user") or {}
    parts = str(user.get("username", "")).split(":")
    if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"]:
        raise Forbidden("permission denied")
    if asked.audience and asked.audience not in (status.get("audiences") or [asked.audience]):
        raise Forbidden("permission denied")
    return Review(parts[2], parts[3], str(user.get("uid", "")))


def _trusting(pem: str) -> ssl.SSLContext:
    """Return the TLS of a client that trusts these authorities alone; raise Failed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise Failed("kubernetes_ca_cert is not a PEM certificate") from error
    return context
