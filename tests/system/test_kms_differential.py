"""The recorded requests, live, to our server and to OpenBao at once: the same statuses, the same members."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import peers
from kms_replay import Replay

sys.path.insert(0, str(Path(__file__).parent))
CASES = json.loads((Path(__file__).parents[1] / "vectors/kms/http.json").read_text())["cases"]
# what waits for time to pass, and bodies without a content type, which urllib does not send
SKIPPED = (
    "protocol/patch-no-content-type",
    "kv2/patch-no-type",
    "kv2/auto-delete",
    "token/expired",
    "token/expiry",
    "wrapping/unwrap-expired",
    "wrapping/wrap-expire",
)
VERBS = {"LIST", "SCAN", "HELP", "GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "FOO"}
NAMES_VARY = {"protocol/help-verb", "tools/config-state", "policies/read-default-fields", "tools/host-info"}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, tuple(headers.items()), body


class Theirs(Replay):
    """The same walk, against a running OpenBao."""

    def __init__(self, folder, port):
        super().__init__(folder)
        self.url = f"http://127.0.0.1:{port}"
        self.opener = urllib.request.build_opener(Stay)

    async def request(self, method, target, headers, body, certificates=()):
        kept = {name: value for name, value in headers.items() if value != ""}
        request = urllib.request.Request(self.url + target, body or None, kept, method=method)
        if body and "Content-Type" not in kept:
            request.add_header("Content-Type", "application/json")
        try:
            with self.opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def openbao(folder):
    port = free_port()
    config = {
        "storage": {"inmem": {}},
        "listener": {
            "tcp": {
                "address": f"127.0.0.1:{port}",
                "tls_disable": True,
                "disable_unauthed_rekey_endpoints": False,
                "disable_unauthed_generate_root_endpoints": False,
            }
        },
        "default_lease_ttl": "168h",
        "max_lease_ttl": "720h",
        "unsafe_allow_api_audit_creation": True,
        "api_addr": f"http://127.0.0.1:{port}",
    }
    path = folder / "bao.json"
    path.write_text(json.dumps(config))
    log = (folder / "bao.log").open("wb")
    process = subprocess.Popen([peers.find("bao"), "server", "-config", str(path)], stdout=log, stderr=log)
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.05)
    raise TimeoutError((folder / "bao.log").read_text())


def shape(value):
    """Return the member names of an answer, those of maps with made-up names left out."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if name not in ("keys", "build_date", "commit_date")}
    return None


def test_both_answer_alike(tmp_path):
    process, port = openbao(tmp_path)
    try:
        problems, compared = asyncio.run(walk(tmp_path, port))
    finally:
        process.terminate()
        process.wait(10)
    assert compared > 900
    assert not problems, f"{len(problems)} differ:\n" + "\n".join(problems[:60])


async def walk(folder, port):
    (folder / "ours").mkdir()
    ours, theirs = Replay(folder / "ours"), Theirs(folder, port)
    problems, compared = [], 0
    for case in CASES:
        if case["name"].startswith(SKIPPED) or case["request"]["method"] not in VERBS:
            continue
        try:
            one, other = await ours.run(case), await theirs.run(case)
        except (AssertionError, KeyError, IndexError, ValueError) as error:
            problems.append(f"{case['name']}: {type(error).__name__} {error}")
            continue
        compared += 1
        if one.status != other.status:
            problems.append(f"{case['name']}: {one.status}, OpenBao {other.status}: {other.body[:200]!r}")
        elif one.body[:1] == b"{" == other.body[:1] and case["name"] not in NAMES_VARY:
            mine, its = shape(json.loads(one.body)), shape(json.loads(other.body))
            if mine != its:
                problems.append(f"{case['name']}: {json.dumps(mine)[:300]} / {json.dumps(its)[:300]}")
    return problems, compared
