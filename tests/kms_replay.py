"""An in-process kms server and the recorded requests that are replayed against it."""

import json
import re
import time
from base64 import b64decode

from strongroom.kms.backends import FACTORIES
from strongroom.kms.handlers.core import Core
from strongroom.kms.handlers.pipeline import Pipeline
from strongroom.kms.handlers.sealing import Sealing
from strongroom.kms.outside.sinks import open_sink
from strongroom.kms.settings import Listener, Settings
from strongroom.kms.storage.memory import MemoryStore
from strongroom.messages import Peer, Request, Response


class Bytes:
    def __init__(self, data):
        self.buffered, self.length = data, len(data)


class Clock:
    """The time of the start, a microsecond later at each look, that a test can push forward.

    Not real time: a recording that began in one second and ended in the next would differ by it.
    """

    def __init__(self):
        self.ahead = 0
        self._now = time.time_ns() // 10**9 * 10**9

    def __call__(self):
        self._now += 1000
        return self._now + self.ahead


def complain(text):
    """Make an unexpected error of the server one of the test."""
    raise AssertionError(text)


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
        core.warn = complain
        self.core, self.pipeline = core, Pipeline(core, Sealing(core))
        self.known = {"file": str(folder / "audit.log")}

    async def request(self, method, target, headers, body, certificates=()):
        path, _, query = target.partition("?")
        low = {name.lower(): value for name, value in headers.items()}
        request = Request(method, target, path, query, low, (), Peer("127.0.0.1", 40000, certificates=certificates))
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
    live = replay.core.unsealed  # another server's hashes are its own: any of its leases will do
    name = replay.known["lk"] if live is None else live.tokens.hash(replay.known["lt"])
    replay.known["lid"] = f"auth/approle/login/{name}"


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


async def unsealed(folder):
    """Return a replay whose server is initialised with one share, unsealed, with its root token known."""
    replay = Replay(folder)
    answer = await replay.request("PUT", "/v1/sys/init", {}, b'{"secret_shares":1,"secret_threshold":1}')
    made = json.loads(answer.body)
    replay.known |= {"root": made["root_token"], "k": made["keys"][0]}
    await replay.request("PUT", "/v1/sys/unseal", {}, json.dumps({"key": made["keys"][0]}).encode())
    return replay


async def post(replay, path, body, token=None, **more):
    """Return (status, JSON) of a POST."""
    headers = {"X-Vault-Token": token} if token else {}
    answer = await replay.request("POST", "/v1/" + path, headers, json.dumps(body).encode(), **more)
    return answer.status, json.loads(answer.body) if answer.body else None
