"""Replays the recorded requests, in their order, against an in-process server and compares statuses and bodies.

Placeholders such as `<uuid>` match by shape; captured values are bound on first sight. What we answer differently on
purpose stands in overrides/kms.json, with the reason.
"""

import json
import re
from base64 import b64decode
from pathlib import Path

import pytest

from strongroom.kms.backends import FACTORIES
from strongroom.kms.handlers.core import Core
from strongroom.kms.handlers.pipeline import Pipeline
from strongroom.kms.handlers.sealing import Sealing
from strongroom.kms.outside.sinks import open_sink
from strongroom.kms.settings import Listener, Settings
from strongroom.kms.storage.memory import MemoryStore
from strongroom.messages import Peer, Request, Response

HERE = Path(__file__).parent
CASES = json.loads((HERE / "kms/http.json").read_text())["cases"]
OVERRIDES = json.loads((HERE / "overrides/kms.json").read_text())["http"]
GROUPS = list(dict.fromkeys(case["name"].split("/")[0] for case in CASES))
STANDARD = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
SHAPES = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
    "token": r"(s|hvs)\.[A-Za-z0-9]{24}",
    "batch_token": r"b\.[\w-]+",
    "accessor": r"[A-Za-z0-9]{24}",
    "b64": r"[A-Za-z0-9+/]+=*",
    "hex8": r"[0-9a-f]{8}",
    "hex64": r"[0-9a-f]{64}",
    "pem public key": r"-----BEGIN PUBLIC KEY-----[\s\S]+-----END PUBLIC KEY-----\n?",
}
LOOSE = {"migration", "help text", "openapi document", "text of the default policy", "policy text", "plaintext"}
LOOSE |= {"random_bytes", "exported_key", "backup", "duration", "otp"}
WORDS = (("OpenBao CLI", "Vault CLI"), ("'bao kv", "'vault kv"), ("OpenBao's server log", "the server's log"))


class Bytes:
    def __init__(self, data):
        self.buffered, self.length = data, len(data)


class Clock:
    """Real time, that a test can push forward."""

    def __init__(self):
        self.ahead = 0

    def __call__(self):
        import time

        return time.time_ns() + self.ahead


class Replay:
    """A server and what the answers so far have told."""

    def __init__(self, folder):
        listener = Listener(host="127.0.0.1", port=8200, tls_disable=True)
        settings = Settings(
            default_lease_ttl=168 * 3600,
            max_lease_ttl=720 * 3600,
            listeners=(listener,),
            api_addr="http://127.0.0.1:8200",
            cluster_addr="https://127.0.0.1:8201",
            prometheus_retention=0,
        )
        self.clock = Clock()
        core = Core(settings, MemoryStore(), self.clock, FACTORIES)
        core.audit.open_sink = open_sink
        self.core, self.pipeline = core, Pipeline(core, Sealing(core))
        self.known = {"file": str(folder / "audit.log")}

    async def request(self, method, target, headers, body):
        path, _, query = target.partition("?")
        low = {name.lower(): value for name, value in headers.items()}
        request = Request(method, target, path, query, low, (), Peer("127.0.0.1", 40000))
        answer = self.pipeline(request, Bytes(body))
        return answer if isinstance(answer, Response) else await answer

    def fill(self, text):
        def value(match):
            return self.known.get(match.group(1), match.group(0))

        return re.sub(r"<([\w ]+)>", value, text)

    async def run(self, case):
        await prepare(self, case)
        wanted = case["request"]
        if "body_text" in wanted:
            body = self.fill(wanted["body_text"]).encode()
        else:
            body = self.fill(json.dumps(wanted["body"], ensure_ascii=False)).encode() if "body" in wanted else b""
        headers = {name: self.fill(value) for name, value in (wanted.get("headers") or {}).items()}
        answer = await self.request(wanted["method"], self.fill(wanted["path"]), headers, body)
        for name, place in (case.get("capture") or {}).items():
            found = json.loads(answer.body)
            for part in place.split("."):
                found = found[int(part)] if isinstance(found, list) else found[part]
            self.known[name] = found
        return answer


async def prepare(replay, case):
    """Do what the recording did between its cases, and what placeholders describe."""
    known, name = replay.known, case["name"]
    if name == "unseal/upper-hex":
        known["h2 in upper case"] = known["h2"].upper()
    elif name == "unseal/duplicate-x":
        known["hex of 32 zero bytes followed by the last byte of share 1"] = "00" * 32 + known["h1"][-2:]
    elif name in STEPS:
        await STEPS[name](replay)


async def ask(replay, method, path, body=None, token=None):
    headers = {"X-Vault-Token": token or replay.known["root"]}
    data = b"" if body is None else json.dumps(body).encode()
    answer = await replay.request(method, "/v1/" + path, headers, data)
    assert answer.status < 300, (path, answer)
    return json.loads(answer.body) if answer.body else {}


async def upper_id(replay):
    found = await ask(replay, "GET", "auth/approle/role/upper/role-id")
    replay.known["rid_upper"] = replay.known["role_id of role upper"] = found["data"]["role_id"]


async def root_role(replay):
    found = await ask(replay, "GET", "auth/approle/role/rooty/role-id")
    replay.known["rid_root"] = found["data"]["role_id"]
    replay.known["sid_root"] = (await ask(replay, "PUT", "auth/approle/role/rooty/secret-id"))["data"]["secret_id"]


async def lease_role(replay):
    await ask(replay, "PUT", "auth/approle/role/lr", {"token_ttl": "168h", "role_id": "lease-role"})
    made = await ask(replay, "PUT", "auth/approle/role/lr/secret-id")
    body = {"role_id": "lease-role", "secret_id": made["data"]["secret_id"]}
    path = "sys/leases/lookup/auth/approle/login?list=true"
    for _ in range(8 - len((await ask(replay, "GET", path))["data"]["keys"])):
        token = (await ask(replay, "POST", "auth/approle/login", body))["auth"]["client_token"]
    replay.known["lt"] = token


async def lease_id(replay):
    tokens = replay.core.live.tokens
    replay.known["lid"] = "auth/approle/login/" + tokens.hash(replay.known["lt"])


async def clean_mounts(replay):
    for path in ("kvput", "deep/er", "v2b", "v2c", "v1moved", "a%20b"):
        await ask(replay, "DELETE", "sys/mounts/" + path)


async def later(replay):
    replay.clock.ahead += 3 * 10**9


async def new_root(replay):
    encoded = replay.known["enc"]
    hidden = b64decode(encoded + "=" * (-len(encoded) % 4))
    replay.known["newroot"] = bytes(a ^ b for a, b in zip(hidden, b"A" * 26, strict=True)).decode()


STEPS = {
    "approle/login-uses-1": upper_id,
    "approle/root-policy-login": root_role,
    "leases/list-root": lease_role,
    "leases/lookup": lease_id,
    "ui-mounts/kv": clean_mounts,
    "token/expired": later,
    "kv2/auto-delete-read": later,
    "wrapping/unwrap-expired": later,
    "generate-root/new-root-lookup": new_root,
}


def same(wanted, given, known, place="body"):
    """Return the first difference, "" for none."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        if set(wanted) != set(given):
            extra, missing = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
            return f"{place}: missing {missing}, too much {extra}"
        return next(filter(None, (same(wanted[k], given[k], known, f"{place}.{k}") for k in wanted)), "")
    if isinstance(wanted, list) and isinstance(given, list):
        if len(wanted) != len(given):
            return f"{place}: {len(given)} elements, wanted {len(wanted)}: {given}"
        if "<uuid>" in wanted:  # random names, sorted: the order tells nothing
            left = list(given)
            for part in sorted(wanted, key=lambda text: text in ("<uuid>",)):
                found = next((g for g in left if not same(part, g, known)), None)
                if found is None:
                    return f"{place}: {given}, wanted {wanted}"
                left.remove(found)
            return ""
        return next(filter(None, (same(w, g, known, f"{place}[]") for w, g in zip(wanted, given, strict=True))), "")
    if isinstance(wanted, str):
        return "" if text_matches(wanted, given, known) else f"{place}: {given!r}, wanted {wanted!r}"
    return "" if type(wanted) is type(given) and wanted == given else f"{place}: {given!r}, wanted {wanted!r}"


def text_matches(wanted, given, known):
    if re.fullmatch(r"<int(~\d+)?>", wanted):
        about = wanted.strip("<>").partition("~")[2]
        return isinstance(given, int) and (not about or abs(given - int(about)) <= 30)
    if wanted == "<unix_time>":
        return isinstance(given, int) and given > 1_600_000_000
    if not isinstance(given, str):
        return wanted in ("<openapi document>",) and given is None
    if re.fullmatch(r"[A-Za-z0-9+/]{43}=", wanted):  # a public key that was left as it was
        return re.fullmatch(r"[A-Za-z0-9+/]{43}=", given) is not None
    for ours, theirs in WORDS:
        wanted = wanted.replace(ours, theirs)
    pattern, place = "", 0
    for match in re.finditer(r"<([\w ]+)>", wanted):
        pattern += re.escape(wanted[place : match.start()])
        name = match.group(1)
        if name in known:
            pattern += re.escape(known[name])
        elif name in SHAPES:
            pattern += SHAPES[name]
        elif name in LOOSE:
            pattern += r"[\s\S]*"
        else:
            pattern += re.escape(match.group(0))
        place = match.end()
    return re.fullmatch(pattern + re.escape(wanted[place:]), given) is not None


def difference(case, answer, known):
    wanted = OVERRIDES.get(case["name"], {}).get("response", case["response"])
    if answer.status != wanted["status"]:
        return f"status {answer.status}, wanted {wanted['status']}: {answer.body[:300]!r}"
    if case.get("step"):
        return ""
    headers = dict(answer.headers)
    for name, value in (STANDARD | (wanted.get("headers") or {})).items():
        if name == "Content-Type" and "body" not in wanted and value is not None:
            continue
        if name in STANDARD and answer.status in (204, 999) and name != "Cache-Control":
            continue
        given = headers.get(name)
        if given != value and not (value and value.startswith("/") and given == known.get("x")):
            return f"header {name}: {given!r}, wanted {value!r}"
    if "body" not in wanted:
        return f"unexpected body {answer.body[:200]!r}" if answer.body and case["request"]["method"] != "HEAD" else ""
    body = wanted["body"]
    if isinstance(body, str):
        return "" if answer.body.decode() == body else f"body {answer.body!r}, wanted {body!r}"
    given = json.loads(answer.body)
    compare = OVERRIDES.get(case["name"], {}).get("compare")
    if compare:  # members of data that both have
        body, given = ({name: found["data"][name] for name in compare} for found in (body, given))
    if isinstance(body, dict) and set(body) == {"data"}:
        given = {"data": given.get("data")}
    if isinstance(given, dict) and "build_date" in given and "commit_date" in given:
        given.pop("build_date")
    return same(body, given, known)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    import asyncio

    folder = tmp_path_factory.mktemp("kms")

    async def everything():
        replay, found = Replay(folder), {}
        for case in CASES:
            try:
                answer = await replay.run(case)
                problem = difference(case, answer, replay.known)
            except Exception as error:  # a broken case must not hide those after it
                problem = f"{type(error).__name__}: {error}"
            if problem:
                found.setdefault(case["name"].split("/")[0], []).append(f"{case['name']}: {problem}")
        return found

    return asyncio.run(everything())


@pytest.mark.parametrize("group", GROUPS)
def test_recorded_group(results, group):
    problems = results.get(group, [])
    assert not problems, f"{len(problems)} differ:\n" + "\n".join(problems)


def test_every_override_names_a_case_and_a_reason():
    names = {case["name"] for case in CASES}
    for name, override in OVERRIDES.items():
        assert name in names
        assert override["reason"]
