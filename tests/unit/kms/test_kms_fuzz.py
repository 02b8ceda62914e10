"""Whatever a client sends, the answer is one of the documented statuses, and the server keeps working."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kms_replay import ask, unsealed

from strongroom.errors import Malformed
from strongroom.kms.domain.acl import READ, Acl, Asked
from strongroom.kms.wire import hcl
from strongroom.kms.wire.gojson import decode
from strongroom.kms.wire.policies import parse_policy

DOCUMENTED = {200, 202, 204, 207, 307, 400, 403, 404, 405, 413, 415, 429, 500, 501, 503}
RECORDED = json.loads((Path(__file__).parents[2] / "vectors/kms/http.json").read_text())["cases"]
PATHS = sorted({case["request"]["path"].partition("?")[0][4:] for case in RECORDED})
PATHS = [path for path in PATHS if "<" not in path and path not in ("sys/seal", "sys/step-down", "sys/init")]
WORDS = sorted({part for path in PATHS for part in path.split("/") if part})
METHODS = st.sampled_from(["GET", "PUT", "POST", "PATCH", "DELETE", "LIST", "SCAN", "HEAD", "HELP", "OPTIONS"])
ROUTES = st.sampled_from(PATHS).map(lambda path: path.split("/"))
NAMES = st.sampled_from(WORDS) | st.text(max_size=6).map(lambda text: quote(text, safe=""))
FIELDS = st.sampled_from(
    [
        "type",
        "policy",
        "policies",
        "data",
        "options",
        "versions",
        "ttl",
        "period",
        "num_uses",
        "token",
        "accessor",
        "lease_id",
        "plaintext",
        "ciphertext",
        "input",
        "batch_input",
        "context",
        "key",
        "nonce",
        "path",
        "paths",
        "metadata",
        "cas",
        "max_versions",
        "custom_metadata",
        "name",
        "id",
        "role_id",
        "secret_id",
        "password",
        "certificate",
        "min_decryption_version",
        "auto_rotate_period",
        "backup",
        "hash_algorithm",
        "rate",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | FIELDS, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.binary(max_size=30) | st.dictionaries(FIELDS, VALUES, max_size=4).map(lambda d: json.dumps(d).encode())
# what seals the server, takes the token away or writes files where the fuzzer likes
DANGEROUS = (
    "sys/seal",
    "sys/step-down",
    "sys/rekey",
    "sys/rotate/root/",
    "sys/audit/",
    "auth/token/revoke",
    "sys/leases",
)


async def prepared(folder):
    replay = await unsealed(folder)
    for path, kind in (("kv", "kv"), ("kv2", "kv-v2"), ("transit", "transit")):
        await ask(replay, "POST", f"sys/mounts/{path}", {"type": kind})
    for kind in ("approle", "userpass", "cert"):
        await ask(replay, "POST", f"sys/auth/{kind}", {"type": kind})
    await ask(replay, "POST", "transit/keys/k", {})
    await ask(replay, "PUT", "kv/a", {"x": 1})
    await ask(replay, "POST", "kv2/data/a", {"data": {"x": 1}})
    return replay


@settings(
    max_examples=max(settings.default.max_examples // 3, 30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(requests=st.lists(st.tuples(METHODS, ROUTES | st.lists(NAMES, min_size=1, max_size=5), BODIES), max_size=25))
def test_any_request_gets_a_documented_status(tmp_path, requests):
    async def run():
        replay = await prepared(tmp_path)
        headers = {"X-Vault-Token": replay.known["root"], "Content-Type": "application/merge-patch+json"}
        for method, parts, body in requests:
            path = "/".join(parts)
            if path.startswith(DANGEROUS):
                continue
            answer = await replay.request(method, f"/v1/{path}", headers, body)
            assert answer.status in DOCUMENTED, (method, path, body, answer)
            if isinstance(answer.body, bytes) and answer.body.startswith(b"{"):
                json.loads(answer.body)
        assert (await ask(replay, "GET", "sys/health"))["sealed"] is False

    asyncio.run(run())


@given(st.text(max_size=200) | st.text('path"{}=[]# \n*+/abc', max_size=60))
def test_any_policy_text_parses_or_is_refused(text):
    with suppress(Malformed):
        Acl([parse_policy("p", text)]).allows(Asked(READ, "a/b", {}))


@given(st.text(max_size=200))
def test_any_hcl_text_parses_or_is_refused(text):
    with suppress(Malformed):
        hcl.plain(hcl.parse(text))


@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_json_is_an_object_or_refused(data):
    with suppress(Malformed):
        assert isinstance(decode(data), dict)
