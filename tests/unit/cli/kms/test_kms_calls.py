"""Whole command lines against a server of canned answers."""

import io
import json
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from strongroom.cli.kms import registry
from strongroom.cli.kms.brand import brand
from strongroom.cli.kms.main import run

NO_PORT = "http://127.0.0.1:1"


@dataclass
class Canned:
    """A server that answers each `METHOD path` with a status, a JSON body and headers, and keeps what it was sent."""

    answers: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    address: str = ""

    def answer(self, request: str) -> tuple[int, bytes, dict[str, str]]:
        status, body, *headers = self.answers.get(request, (404, {"errors": []}))
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return status, data, headers[0] if headers else {}


@pytest.fixture
def server() -> Iterator[Canned]:
    canned = Canned()

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            canned.seen.append((f"{self.command} {self.path}", dict(self.headers.items()), body))
            status, data, headers = canned.answer(f"{self.command} {self.path}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = serve

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    canned.address = f"http://127.0.0.1:{listening.server_port}"
    threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    yield canned
    listening.shutdown()
    listening.server_close()


@dataclass
class Printed:
    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def vault(server: Canned, home: Path) -> Any:
    def call(*words: str, name: str = "vault", stdin: str = "", **environment: str) -> Printed:
        out, err = io.StringIO(), io.StringIO()
        variables = {"VAULT_ADDR": server.address, "HOME": str(home), **environment}
        code = run(list(words), brand(name), variables, (io.StringIO(stdin), out, err))
        return Printed(code, out.getvalue(), err.getvalue())

    return call


def test_every_command_has_help_with_an_example(vault: Any) -> None:
    for name in registry.COMMANDS:
        if name == "server":
            continue
        shown = vault(*name.split(), "-help")
        assert shown.code == 0
        assert shown.out.startswith(f"Usage: vault {name}")
        assert f"Example:\n  {'' if name in ('print token', 'completion') else f'vault {name}'}" in shown.out
        assert "Exit codes:" in shown.out


def test_groups_list_their_commands_and_end_with_one(vault: Any) -> None:
    shown = vault("operator", "raft")
    assert shown.code == 1
    assert "Usage: vault operator raft COMMAND" in shown.err
    assert vault("-h").code == 0
    assert vault("kv", "nonsense").code == 1
    assert vault("nonsense").code == 127


def test_what_we_do_not_have_says_what_to_use(vault: Any) -> None:
    shown = vault("ssh", "-role=x", "host")
    assert shown.code == 1
    assert "vault ssh is not supported by Strongroom: " in shown.err
    assert vault("operator", "raft", "list-peers").code == 1


def test_flags_before_the_command_are_refused(vault: Any) -> None:
    shown = vault("-format=json", "status")
    assert shown.code == 1
    assert "behind the command" in shown.err


@pytest.mark.parametrize(("name", "second"), [("vault", "v1.15.6"), ("bao", "v2.7.2")])
def test_the_second_word_of_version_is_the_version(vault: Any, name: str, second: str) -> None:
    assert vault("-version", name=name).out.split()[1] == second


def test_the_brand_speaks(server: Canned, vault: Any) -> None:
    server.answers["PUT /v1/kv/a"] = (200, {"request_id": "x", "data": None, "warnings": ["careful"]})
    assert "returned from Vault" in vault("write", "kv/a", "b=c").err
    assert "returned from OpenBao" in vault("write", "kv/a", "b=c", name="bao").err
    assert "returned from Strongroom" in vault("write", "kv/a", "b=c", name="strongroom kms").err
    assert "could not parse VAULT_SKIP_VERIFY" in vault("status", VAULT_SKIP_VERIFY="maybe").err
    assert "could not parse BAO_SKIP_VERIFY" in vault("status", name="bao", VAULT_SKIP_VERIFY="maybe").err


def test_bao_variables_come_first_for_bao_only(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/kv/a"] = (200, {"request_id": "x", "data": {"k": "v"}})
    vault("read", "kv/a", name="bao", VAULT_TOKEN="first", BAO_TOKEN="second")
    vault("read", "kv/a", VAULT_TOKEN="first", BAO_TOKEN="second")
    assert [headers["X-Vault-Token"] for _, headers, _ in server.seen] == ["second", "first"]


def test_requests_carry_what_the_settings_say(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/kv/a%20b?list=true"] = (200, {"request_id": "x", "data": {"keys": ["n"]}})
    shown = vault(
        "list", "-namespace=team/", "-wrap-ttl=90", "-header=X-Own=1", "-policy-override", "-mfa=m", "/kv//a b/",
        VAULT_TOKEN="t",
    )  # fmt: skip
    assert shown.out == "Keys\n----\nn\n"
    _, headers, body = server.seen[0]
    assert body == b""
    assert headers["X-Vault-Request"] == "true"
    assert headers["X-Vault-Namespace"] == "team/"
    assert headers["X-Vault-Wrap-Ttl"] == "1m30s"
    assert headers["X-Own"] == "1"
    assert headers["X-Vault-Policy-Override"] == "true"
    assert headers["X-Vault-MFA"] == "m"
    assert "Content-Type" not in headers


def test_own_headers_may_not_take_the_clients(vault: Any) -> None:
    shown = vault("read", "-header=X-Vault-Token=stolen", "kv/a")
    assert shown.code == 2
    assert "belong to the client" in shown.err


def test_patch_names_its_content_type(server: Canned, vault: Any) -> None:
    server.answers["PATCH /v1/a"] = (204, None)
    assert vault("patch", "a", "b=c").code == 0
    assert server.seen[0][1]["Content-Type"] == "application/merge-patch+json"


def test_one_redirect_is_followed_with_token_and_body(server: Canned, vault: Any) -> None:
    server.answers["PUT /v1/kv/a"] = (307, None, {"Location": f"{server.address}/v1/kv/b"})
    server.answers["PUT /v1/kv/b"] = (204, None)
    assert vault("write", "kv/a", "x=1", VAULT_TOKEN="t").code == 0
    assert server.seen[1][1]["X-Vault-Token"] == "t"
    assert server.seen[1][2] == b'{"x":"1"}'
    shown = vault("write", "-disable-redirects", "kv/a", "x=1", VAULT_TOKEN="t")
    assert shown.code == 0  # 307 is below 400: the answer itself
    assert len(server.seen) == 3


def test_a_second_redirect_is_not_followed(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/kv/a"] = (307, None, {"Location": "/v1/kv/a"})
    vault("read", "kv/a")
    assert len(server.seen) == 2


def test_retries_only_when_asked(server: Canned, vault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.cli.kms.client.time.sleep", lambda seconds: None)
    server.answers["GET /v1/kv/a"] = (503, {"errors": ["Vault is sealed"]})
    assert vault("read", "kv/a").code == 2
    assert vault("read", "kv/a", VAULT_MAX_RETRIES="2").code == 2
    assert len(server.seen) == 4


def test_errors_show_namespace_code_and_raw_bodies(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/kv/a"] = (400, b"oops")
    shown = vault("read", "-ns=n", "kv/a")
    assert shown.err == (
        "Error reading kv/a: Error making API request.\n\n"
        f"Namespace: n/\nURL: GET {server.address}/v1/kv/a\nCode: 400. Raw Message:\n\noops\n"
    )


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (NO_PORT, "dial tcp 127.0.0.1:1: connect: connection refused"),
        ("localhost:8200", 'unsupported protocol scheme "localhost"'),
        ("unix:///no/such/socket", "no such file or directory"),
    ],
)
def test_no_server_says_why(vault: Any, address: str, said: str) -> None:
    shown = vault("read", "kv/a", VAULT_ADDR=address)
    assert shown.code == 2
    assert said in shown.err
    assert vault("status", VAULT_ADDR=address).code == 1


@pytest.mark.parametrize("address", ["http://[::1", "http://127.0.0.1:port"])
def test_a_bad_address_is_named(vault: Any, address: str) -> None:
    shown = vault("read", "kv/a", VAULT_ADDR=address)
    assert shown.code == 2
    assert shown.err.startswith(f'Error reading kv/a: parse "{address}')


@pytest.mark.parametrize("token", ["hvs.a\nX-Evil: 1", "hvs.\u20ac"])
def test_a_bad_token_is_not_shown(vault: Any, token: str) -> None:
    shown = vault("read", "kv/a", VAULT_TOKEN=token)
    assert shown.code == 2
    assert "hvs" not in shown.err


def test_tls_to_a_plain_port_is_named(server: Canned, vault: Any) -> None:
    shown = vault("read", "kv/a", VAULT_ADDR=server.address.replace("http:", "https:"))
    assert "server gave HTTP response to HTTPS client" in shown.err


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VAULT_CACERT", "missing.crt", "Error loading CA File: open missing.crt: no such file or directory"),
        ("VAULT_CLIENT_TIMEOUT", "soon", "could not parse CLIENT_TIMEOUT"),
        ("VAULT_MAX_RETRIES", "many", "could not parse MAX_RETRIES"),
        ("VAULT_FORMAT", "zzz", "Invalid output format: zzz"),
        ("VAULT_FORMAT", "raw", "does not support the -format=raw option"),
    ],
)
def test_bad_variables_end_with_one(vault: Any, name: str, value: str, said: str) -> None:
    shown = vault("status", **{name: value})
    assert shown.code == 1
    assert said in shown.err


def test_login_keeps_the_token_for_its_owner_only(server: Canned, vault: Any, home: Path) -> None:
    server.answers["PUT /v1/auth/userpass/login/joe"] = (
        200,
        {"auth": {"client_token": "hvs.new", "policies": ["default"]}},
    )
    shown = vault("login", "-method=userpass", "username=joe", "password=pw")
    assert shown.code == 0
    assert "token_policies" in shown.out
    kept = home / ".vault-token"
    assert kept.read_text() == "hvs.new"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "X-Vault-Token" not in server.seen[0][1]
    assert vault("print", "token").out == "hvs.new\n"
    assert vault("print", "token", VAULT_TOKEN="other").out == "other\n"


@pytest.mark.parametrize("mode", ["-no-store", "-token-only"])
def test_login_keeps_nothing_when_told(server: Canned, vault: Any, home: Path, mode: str) -> None:
    server.answers["PUT /v1/auth/approle/login"] = (200, {"auth": {"client_token": "hvs.new"}})
    shown = vault("login", "-method=approle", mode, "role_id=r", "secret_id=s")
    assert shown.code == 0
    assert "hvs.new" in shown.out
    assert not (home / ".vault-token").exists()


def test_a_wrapped_login_is_unwrapped(server: Canned, vault: Any, home: Path) -> None:
    server.answers["PUT /v1/auth/approle/login"] = (200, {"wrap_info": {"token": "w", "ttl": 60}})
    server.answers["PUT /v1/sys/wrapping/unwrap"] = (200, {"auth": {"client_token": "hvs.inner"}})
    assert vault("login", "-method=approle", "-wrap-ttl=60", "role_id=r", "secret_id=s").code == 0
    assert (home / ".vault-token").read_text() == "hvs.inner"
    assert server.seen[1][1]["X-Vault-Token"] == "w"


def test_a_token_helper_takes_the_place_of_the_file(vault: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = home / "helper"
    helper.write_text(
        '#!/bin/sh\ncase "$1" in get) cat "$HOME_OF_TEST/kept";; store) cat > "$HOME_OF_TEST/kept";; esac\n'
    )
    helper.chmod(0o700)
    (home / ".vault").write_text(f'token_helper = "{helper}"\n')
    monkeypatch.setenv("HOME_OF_TEST", str(home))
    (home / "kept").write_text("hvs.helped\n")
    assert vault("print", "token").out == "hvs.helped\n"


def test_the_token_file_can_lie_elsewhere(vault: Any, home: Path) -> None:
    (home / "elsewhere").write_text(" hvs.there \n")
    assert vault("print", "token", VAULT_TOKEN_PATH=str(home / "elsewhere")).out == "hvs.there\n"


def test_previews_show_no_token(vault: Any) -> None:
    shown = vault("write", "-output-curl-string", "kv/a", "x=it's", VAULT_TOKEN="hvs.secret", VAULT_SKIP_VERIFY="1")
    assert shown.code == 0
    assert "hvs.secret" not in shown.out
    assert shown.out.startswith('curl --insecure -X PUT -H "X-Vault-Request: true"')
    assert """-d '{"x":"it'"'"'s"}'""" in shown.out
    policy = vault("audit", "enable", "-output-policy", "file", "file_path=x").out
    assert policy == 'path "sys/audit/file" {\n  capabilities = ["create", "update", "sudo"]\n}\n'


def test_settings_hide_the_token() -> None:
    from strongroom.cli.kms.settings import Settings

    assert "hvs.secret" not in repr(Settings(token="hvs.secret"))


def test_values_come_from_files_standard_input_and_json(server: Canned, vault: Any, home: Path) -> None:
    server.answers["PUT /v1/kv/a"] = (204, None)
    (home / "v.txt").write_text("from file")
    (home / "v.json").write_text('{"j":1.10}')
    vault("write", "kv/a", f"f=@{home}/v.txt", "s=-", "l=1", "l=2", r"at=\@x", f"@{home}/v.json", stdin="typed")
    assert json.loads(server.seen[0][2]) == {"f": "from file", "s": "typed", "l": ["1", "2"], "at": "@x", "j": 1.1}
    assert b"1.10" in server.seen[0][2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a",), 'invalid key/value pair "a": format must be key=value'),
        (("a=@nofile",), "error reading file: open nofile: no such file or directory"),
        (("@nofile",), "open nofile: no such file or directory"),
        (("a=-", "b=-"), "stdin already consumed"),
        (("-",), "EOF"),
    ],
)
def test_bad_values_are_named(vault: Any, words: tuple[str, ...], said: str) -> None:
    shown = vault("write", "kv/a", *words)
    assert shown.code == 1
    assert shown.err.startswith("Failed to parse K=V data: ")
    assert said in shown.err


def test_raw_prints_the_body_as_it_came(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/kv/a"] = (200, b'{"data":{"x": 1.10}}')
    assert vault("read", "-format=raw", "kv/a").out == '{"data":{"x": 1.10}}\n'


def test_status_of_a_standby(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/sys/seal-status"] = (
        200,
        {"type": "shamir", "initialized": True, "sealed": False, "t": 3, "n": 5},
    )
    server.answers["GET /v1/sys/leader"] = (
        200,
        {
            "ha_enabled": True,
            "is_self": False,
            "leader_address": "https://b:8200",
            "leader_cluster_address": "https://b:8201",
        },
    )
    shown = vault("status")
    assert shown.code == 0
    assert "HA Mode                standby\nActive Node Address    https://b:8200\n" in shown.out


def test_recovery_keys_have_their_own_words(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/sys/seal-status"] = (200, {"type": "transit", "recovery_seal": True})
    server.answers["PUT /v1/sys/init"] = (
        200,
        {"keys": [], "keys_base64": [], "recovery_keys": ["aa"], "recovery_keys_base64": ["qg=="], "root_token": "s.r"},
    )
    shown = vault("operator", "init", "-recovery-shares=1", "-recovery-threshold=1")
    assert shown.code == 0
    assert "Recovery Key 1: qg==\n\nInitial Root Token: s.r\n" in shown.out
    assert json.loads(server.seen[-1][2])["secret_shares"] == 0


def test_generate_root_falls_back_to_the_routes_a_server_has(server: Canned, vault: Any) -> None:
    state = {"nonce": "n", "started": True, "progress": 1, "required": 2, "otp_length": 26, "complete": False}
    server.answers["GET /v1/sys/generate-root/attempt"] = (200, state)
    for name in ("vault", "bao"):
        shown = vault("operator", "generate-root", "-status", name=name)
        assert shown.code == 0
        assert "Progress      1/2\n" in shown.out
    assert [request for request, _, _ in server.seen][1] == "GET /v1/sys/generate-root-token/attempt"


def test_generate_root_decodes_what_the_server_encoded(vault: Any) -> None:
    assert vault("operator", "generate-root", "-decode=IiIiIg", "-otp=AAAA").out == "cccc"
    shown = vault("operator", "generate-root", "-decode=IiIiIg", "-otp=AAAAA")
    assert shown.code == 1
    assert "4 != 5" in shown.err


def test_a_share_from_the_command_line_needs_the_nonce(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/sys/rekey/init"] = (200, {"nonce": "n", "started": True, "t": 1, "n": 1, "required": 1})
    assert "Missing nonce value" in vault("operator", "rekey", "share").err
    server.answers["PUT /v1/sys/rekey/update"] = (
        200,
        {"nonce": "n", "complete": True, "keys": ["aa"], "keys_base64": ["qg=="], "verification_required": False},
    )
    shown = vault("operator", "rekey", "-nonce=n", "share")
    assert shown.code == 0
    assert "\nKey 1: qg==\n\nOperation nonce: n\n" in shown.out


def test_pgp_keys_are_sent_as_base64_of_their_binary_form(server: Canned, vault: Any, home: Path) -> None:
    server.answers["GET /v1/sys/seal-status"] = (200, {"type": "shamir"})
    (home / "a.asc").write_text(
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\nYWJj\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
    )
    (home / "b.pgp").write_bytes(b"\x98\x33\x04")
    vault("operator", "init", f"-pgp-keys={home}/a.asc,{home}/b.pgp", "-n=2", "-t=2")
    assert json.loads(server.seen[-1][2])["pgp_keys"] == ["mDMEYWJj", "mDME"]


def test_snapshots_are_saved_for_their_owner_only(server: Canned, vault: Any, home: Path) -> None:
    server.answers["GET /v1/sys/storage/raft/snapshot"] = (200, b"\x1f\x8bdata")
    server.answers["POST /v1/sys/storage/raft/snapshot-force"] = (204, None)
    target = home / "x.snap"
    assert vault("operator", "raft", "snapshot", "save", str(target)).code == 0
    assert target.read_bytes() == b"\x1f\x8bdata"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert vault("operator", "raft", "snapshot", "restore", "-force", str(target)).code == 0
    assert server.seen[-1][2] == b"\x1f\x8bdata"


def test_kv_asks_for_the_mount_and_falls_back_to_version_1(server: Canned, vault: Any) -> None:
    server.answers["PUT /v1/secret/a"] = (204, None)
    assert vault("kv", "put", "secret/a", "x=1").code == 0
    server.answers["GET /v1/sys/internal/ui/mounts/team/kv"] = (
        200,
        {"data": {"path": "team/kv/", "options": {"version": "2"}}},
    )
    server.answers["PUT /v1/team/kv/data/a"] = (200, {"request_id": "x", "data": {"version": 1}})
    assert vault("kv", "put", "-mount=team/kv", "-cas=0", "a", "x=1").code == 0
    assert json.loads(server.seen[-1][2]) == {"data": {"x": "1"}, "options": {"cas": 0}}


def test_kv_patch_reads_and_writes_where_patching_is_not_allowed(server: Canned, vault: Any) -> None:
    server.answers["GET /v1/sys/internal/ui/mounts/kv2/a"] = (
        200,
        {"data": {"path": "kv2/", "options": {"version": "2"}}},
    )
    server.answers["PATCH /v1/kv2/data/a"] = (403, {"errors": ["permission denied"]})
    server.answers["GET /v1/kv2/data/a"] = (200, {"data": {"data": {"x": "1", "y": "2"}, "metadata": {"version": 7}}})
    server.answers["PUT /v1/kv2/data/a"] = (200, {"request_id": "x", "data": {"version": 8}})
    assert vault("kv", "patch", "-remove-data=x", "kv2/a", "y=3").code == 0
    assert json.loads(server.seen[-1][2]) == {"data": {"y": "3"}, "options": {"cas": 7}}
    assert vault("kv", "patch", "-method=patch", "kv2/a", "y=3").code == 2


def test_interactive_values_need_a_terminal(vault: Any) -> None:
    shown = vault("operator", "unseal")
    assert shown.code == 1
    assert shown.out == "Unseal Key (will be hidden): \n"
    assert vault("login").code == 2
    assert vault("operator", "unseal", "-non-interactive").code == 1


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_scripts_complete(vault: Any, shell: str) -> None:
    script = vault("completion", "bash").out
    probe = 'COMP_WORDS=(vault kv metadata p); COMP_CWORD=3; _vault; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", f"{script}\n{probe}"], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.split() == ["put", "patch"]
    assert vault("completion", shell).code == 0


def test_completion_for_fish_and_unknown_shells(vault: Any) -> None:
    assert "complete -c vault -n '__fish_use_subcommand' -a read" in vault("completion", "fish").out
    assert vault("completion", "csh").code == 1


def test_a_call_imports_nothing_heavy() -> None:
    code = (
        "import sys; from strongroom.cli.kms.main import main; "
        "main(['status', '-address=http://127.0.0.1:1'], 'vault'); "
        "print(sorted({'aiohttp', 'click', 'rich', 'asyncio', 'ruamel', 'cryptography'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"


def test_a_detailed_list_tells_all_that_the_server_does(server: Canned, vault: Any) -> None:
    info = {"a": {"version": 2, "tags": None}, "b": {"version": 1, "tags": "x"}}
    answer = (200, {"data": {"keys": ["a", "b", "c/"], "key_info": info}})
    server.answers["GET /v1/kv/detailed-metadata?list=true"] = answer
    wanted = [
        ["Keys", "tags", "version"], ["----", "----", "-------"],
        ["a", "<nil>", "2"], ["b", "x", "1"], ["c/", "n/a", "n/a"],
    ]  # fmt: skip
    for words, variables in ((["-detailed"], {}), ([], {"VAULT_DETAILED": "true"})):
        shown = vault("list", *words, "kv/detailed-metadata", **variables)
        assert (shown.code, [line.split() for line in shown.out.splitlines()]) == (0, wanted)
    shown = vault("list", "-detailed=false", "kv/detailed-metadata", VAULT_DETAILED="true")
    assert shown.out.splitlines()[0] == "Keys"
