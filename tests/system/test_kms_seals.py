"""Servers that unseal themselves: a static key, another server's transit key, a PKCS#11 token; moving between seals."""

import json
import os
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import peers
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from kms_server import KmsProcess

LIBRARIES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


def wait_unsealed(server, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.ask("GET", "sys/health")[0] == 200:
            return
        time.sleep(0.05)
    raise AssertionError(server.ask("GET", "sys/seal-status"))


def restarted(server):
    server.process.terminate()
    assert server.process.wait(10) == 0
    return server.start()


def check_life(server):
    """Initialise, write, restart: the server comes back unsealed with its data."""
    status, made = server.ask("PUT", "sys/init", {"recovery_shares": 3, "recovery_threshold": 2})
    assert (status, made["keys"], len(made["recovery_keys"])) == (200, [], 3)
    root = made["root_token"]
    wait_unsealed(server)
    shown = server.ask("GET", "sys/seal-status")[1]
    assert (shown["recovery_seal"], shown["t"], shown["n"]) == (True, 2, 3)
    assert server.ask("POST", "sys/mounts/kv", {"type": "kv"}, root)[0] == 204
    assert server.ask("PUT", "kv/a", {"x": 1}, root)[0] == 204
    restarted(server)
    wait_unsealed(server)
    assert server.ask("GET", "kv/a", token=root)[1]["data"] == {"x": 1}
    return made


def test_static_key(tmp_path):
    key = tmp_path / "key"
    key.write_text(os.urandom(32).hex())
    options = {"static": {"current_key": f"file://{key}", "current_key_id": "one"}}
    with KmsProcess(tmp_path, seal=options) as server:
        made = check_life(server)
        status = server.ask("PUT", "sys/generate-root/attempt", {})[1]
        for share in made["recovery_keys"][:2]:
            body = {"key": share, "nonce": status["nonce"]}
            answer = server.ask("PUT", "sys/generate-root/update", body)
        assert answer[1]["complete"] is True
        assert server.ask("PUT", "sys/seal", token=made["root_token"])[0] == 204
        time.sleep(1.5)
        assert server.ask("GET", "sys/health")[0] == 503


def test_transit_key_of_another_server(tmp_path):
    (tmp_path / "a").mkdir()
    with KmsProcess(tmp_path / "a") as other:
        keys, root = other.set_up()
        other.ask("POST", "sys/mounts/transit", {"type": "transit"}, root)
        other.ask("POST", "transit/keys/unseal", {}, root)
        text = "".join(f'path "transit/{w}/unseal" {{ capabilities = ["update"] }}\n' for w in ("encrypt", "decrypt"))
        other.ask("PUT", "sys/policies/acl/seal", {"policy": text}, root)
        token = other.ask("POST", "auth/token/create", {"policies": ["seal"], "period": "24h"}, root)[1]["auth"]
        options = {"address": other.url, "key_name": "unseal", "token": token["client_token"]}
        with KmsProcess(tmp_path, seal={"transit": options}) as server:
            check_life(server)
            other.ask("PUT", "sys/seal", token=root)
            restarted(server)
            assert server.ask("GET", "sys/health")[0] == 503
            other.unseal(keys)
            wait_unsealed(server)


def test_pkcs11_token(tmp_path):
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None:
        peers.missing("softhsm2")
    tool = peers.find("softhsm2-util")
    (tmp_path / "tokens").mkdir()
    settings = tmp_path / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    os.environ["SOFTHSM2_CONF"] = str(settings)
    try:
        words = [tool, "--init-token", "--free", "--label", "kms", "--pin", "1234", "--so-pin", "5678"]
        subprocess.run(words, check=True, capture_output=True, timeout=30)
        options = {"lib": library, "token_label": "kms", "key_label": "root", "pin": "1234", "generate_key": "true"}
        with KmsProcess(tmp_path, seal={"pkcs11": options}) as server:
            check_life(server)
    finally:
        del os.environ["SOFTHSM2_CONF"]


def test_migration_to_a_static_key_and_back(tmp_path):
    options = {"current_key": b64encode(os.urandom(32)).decode()}
    server = KmsProcess(tmp_path).start()
    try:
        keys, root = server.set_up(3, 2)
        server.ask("POST", "sys/mounts/kv", {"type": "kv"}, root)
        server.ask("PUT", "kv/a", {"x": 1}, root)

        def reconfigure(seal):
            config = json.loads(server.config.read_text())
            config.pop("seal", None)
            server.config.write_text(json.dumps(config | ({"seal": seal} if seal else {})))
            restarted(server)

        def migrate():
            assert server.ask("GET", "sys/seal-status")[1]["migration"] is True
            assert server.ask("PUT", "sys/unseal", {"key": keys[0]})[0] == 400
            for key in keys[:2]:
                status, shown = server.ask("PUT", "sys/unseal", {"key": key, "migrate": True})
                assert status == 200, shown
            assert shown["sealed"] is False
            assert server.ask("GET", "kv/a", token=root)[1]["data"] == {"x": 1}

        reconfigure({"static": options})
        migrate()
        restarted(server)
        wait_unsealed(server)
        reconfigure({"static": options | {"disabled": "true"}})
        migrate()
        reconfigure(None)
        assert server.ask("GET", "sys/health")[0] == 503
        server.unseal(keys[1:])
        assert server.ask("GET", "kv/a", token=root)[1]["data"] == {"x": 1}
    finally:
        server.__exit__()


@pytest.mark.parametrize(
    ("seal", "text"),
    [
        ({"static": {"current_key": "abc"}}, "seal static: current_key"),
        ({"transit": {"address": "http://x"}}, "key_name is missing"),
        ({"awskms": {}}, "unknown seal type awskms"),
    ],
)
def test_bad_seals_are_refused_with_one_line(tmp_path, seal, text):
    with pytest.raises(RuntimeError, match=text):
        KmsProcess(tmp_path, seal=seal).start()
