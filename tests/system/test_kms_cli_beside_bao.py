"""The same command lines through the real `bao` program and through ours, on one server, say and return the same."""

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "vectors"))

import peers
from kms_cli_replay import SHAPES
from kms_shell import Shell, free_port, wait_for

from strongroom.cli.kms.brand import brand
from strongroom.cli.kms.main import run

JSON = (
    '{"f":1.10,"e":1e3,"big":12345678901234567890,"b":true,"nul":null,"l":[],"m":{},"l2":["a b",1,null,{"x":[1]}],'
    '"ttl":3600,"my_duration":90061,"neg_ttl":-5,"z_period":"5m","uni":"é∞","lease":"x","h":"<&>"}'
)
POLICY = 'path "a/*" { capabilities=["read"] }\n'

# Each is one command line, split at blanks; nothing here changes what a later one sees.
LINES = """
read kv/j
read -format=json kv/j
read -format=yaml kv/j
read -format=raw kv/j
read -field=l2 kv/j
read -field=m kv/j
read -field=ttl kv/j
read -field=nul kv/j
read -field=e kv/j
read -field=l2 -format=json kv/j
read -field=uni -format=yaml kv/j
read -field=uni -format=json kv/j
read -field=refresh_interval kv/j
read -field a kv/x extra=1
read kv/x -field=a
read --field=a kv/x
read -field kv/x
read -format kv/x
read -bad kv/x
read -format=raw kv/none
read kv//x/
read /kv/x
read sys/mounts/kv/tune
read sys/health
read -format=json sys/policies/acl/p
read cubbyhole/none
read -wrap-ttl=zz kv/x
read -wrap-ttl=90 -field=wrapping_token_ttl kv/x
read -namespace=nope kv/x
read secret/app
read -format=json secret/app
kv get kv/j
kv get kv/x -field=a
kv get -field=none kv/x
kv get -field=a -mount=secret app
kv get -mount=secret app
kv get -format=yaml -mount=secret app
kv get -version=1 -mount=secret app
kv get secret/gone
kv get -format=json secret/gone
kv get -version=77 secret/app
kv list secret
kv list -mount=secret
kv list -mount=secret app
kv list -format=yaml kv
kv metadata get secret/app
kv metadata get -mount=secret app
kv metadata get secret/none
kv destroy secret/app
kv undelete secret/app
kv rollback secret/app
kv rollback -version=99 secret/app
kv delete secret/none
kv delete -format=json secret/none
kv patch secret/none a=b
kv patch -cas=9 secret/app a=b
kv patch -method=zz secret/app a=b
kv patch secret/app
kv enable-versioning none
kv metadata put -mount=secret -custom-metadata=x none
write kv/x a=b c=d
write -format=json kv/x a=b c=d
write -format=yaml kv/x a=b c=d
write -field=q kv/x a=b c=d
write secret/app a=b
write kv/x
write kv/x novalue
write kv/x a=@missing
write sys/seal-status a=b
write transit/encrypt/k plaintext=zz
write -format=raw kv/x a=b
write -h=x kv/x
patch kv/x a=1
patch secret/data/app data=1
delete kv/none
delete -format=json kv/none
list kv
list -format=yaml kv
list -format=raw kv
list kv/none
list -format=json kv/none
list transit/keys
list secret/app
list -detailed kv
list -detailed secret/detailed-metadata
scan kv/none
kv scan secret
kv scan -mount=secret none
kv rollback -version=1 kv/x
status
status -format=json
status -format=yaml
status -format=raw
status -field=sealed
status extra
secrets list
secrets list -format=json
secrets list -detailed
secrets list -field=x
secrets enable
secrets enable zzz
secrets enable -version=7 kv
secrets tune -description=keys kv
secrets tune -max-lease-ttl=1h none
secrets move nope kv9
secrets move a
secrets disable none
auth list
auth list -format=yaml
auth list -detailed
auth enable zzz
auth disable none
auth tune -description=roles approle
policy list
policy list -format=json
policy list -field=x
policy read p
policy read -format=yaml p
policy read none
policy write p missing.hcl
policy write P p.hcl
policy write -format=json p p.hcl
policy delete none
policy delete root
token lookup
token lookup -format=json
token lookup -field=policies
token lookup -accessor
token lookup a b
token lookup nonsense
token create -ttl=zz
token create -role=zz
token create -metadata=zz
token create -policy=default -ttl=1h
token create -policy=none -ttl=1h -format=yaml
token create -type=batch -policy=default -ttl=1m
token create -policy=default -field=token_policies
token create -policy=default -ttl=1h -field=token_duration
token renew -accessor x
token renew nonsense
token revoke -self -accessor
token revoke -self x
token revoke -mode=zz x
token revoke a b
token revoke
token revoke nonsense
token revoke -accessor nope
token capabilities
token capabilities kv/x
token capabilities nonsense kv/x
token capabilities -format=json kv/x
lease lookup
lease lookup nope
lease renew nope
lease revoke
lease revoke nope
lease revoke -sync nope
lease revoke -force nope
lease revoke -prefix nope
lease revoke -prefix -sync nope
audit list
audit list -detailed
audit list -format=json
audit enable
audit enable zzz
audit disable none
unwrap nope
unwrap a b
login nonsense
login a b
login -method=zzz
login -no-print -no-store root
login -no-store root
login -token-only root
login -no-store -format=json root
login -no-store -field=policies root
login -method=userpass -no-store username=joe password=bad
login -method=userpass -no-store username=joe password=pw
login -method=userpass -token-only username=joe password=pw
operator key-status -format=json
operator init -status
operator init -status -format=json
operator init extra
operator init
operator unseal a b
operator unseal
operator rekey -target=zz -status
operator generate-root -decode=abc
operator generate-root -decode=IiIiIg -otp=AAAA
operator generate-root -decode=IiIiIg -otp=AAAAA
operator generate-root a b
operator generate-root -status
operator members
path-help sys/nonono
path-help
print token
version extra
read -output-curl-string kv/x
read -output-curl-string -wrap-ttl=5m -namespace=x -header=own=1 kv/x
write -output-curl-string kv/x a=b'c
list -output-curl-string kv/x
delete -output-curl-string kv/x
patch -output-curl-string kv/x a=b
kv get -output-curl-string secret/app
kv put -output-curl-string -cas=3 secret/app a=b
kv delete -output-curl-string -versions=1,2 secret/app
kv metadata put -output-curl-string -max-versions=3 -delete-version-after=90m -custom-metadata=a=b secret/app
kv metadata patch -output-curl-string -cas-required=false -remove-custom-metadata=z secret/app
token create -output-curl-string -policy=a -ttl=1h -orphan -id=x -metadata=a=b -use-limit=3 -renewable=false
secrets enable -output-curl-string -path=x/ -default-lease-ttl=1h -options=a=b -version=2 -local kv
secrets tune -output-curl-string -max-lease-ttl=2h -listing-visibility=hidden x
auth enable -output-curl-string -path=x -token-type=batch approle
auth tune -output-curl-string -description=d x
audit enable -output-curl-string -path=a/b file file_path=x
lease renew -output-curl-string -increment=1h x/y
operator init -output-curl-string -n=3 -t=2
operator rekey -output-curl-string -init -n=3 -t=2
operator rotate-keys -output-curl-string -init -n=3 -t=2
operator unseal -output-curl-string -reset
read -output-policy kv/x
write -output-policy kv/x a=b
list -output-policy kv/x
auth enable -output-policy approle
audit list -output-policy
kv get -output-policy secret/app
kv patch -output-policy secret/app a=b
""".strip().splitlines()

# Lines where only the exit code has to agree: what follows is ours to say.
ANY_TEXT = {
    "write -h=x kv/x",
    "version extra",
    "operator rotate-keys -output-curl-string -init -n=3 -t=2",
}


@dataclass
class Pair:
    program: str
    address: str
    folder: Path

    def environment(self) -> dict[str, str]:
        return {"VAULT_ADDR": self.address, "VAULT_TOKEN": "root", "HOME": str(self.folder)}

    def theirs(self, words: list[str]) -> tuple[int, str, str]:
        done = subprocess.run(
            [self.program, *words], cwd=self.folder, env={**os.environ, **self.environment()}, timeout=60,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def ours(self, words: list[str]) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            code = run(words, brand("bao"), self.environment(), (io.StringIO(), out, err))
        finally:
            os.chdir(before)
        return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    program = peers.find("bao")
    folder = tmp_path_factory.mktemp("beside-bao")
    port = free_port()
    process = subprocess.Popen(
        [program, "server", "-dev", "-dev-root-token-id=root", f"-dev-listen-address=127.0.0.1:{port}"],
        env={**os.environ, "HOME": str(folder)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(port, process)
        fill(Shell(f"http://127.0.0.1:{port}", folder, {"VAULT_TOKEN": "root"}))
        (folder / "p.hcl").write_text(POLICY)
        yield Pair(program, f"http://127.0.0.1:{port}", folder)
    finally:
        process.terminate()
        process.wait(20)


def fill(shell: Shell) -> None:
    import time

    for _ in range(100):
        try:
            shell("secrets", "enable", "kv")
        except AssertionError:
            time.sleep(0.05)
        else:
            break
    shell("secrets", "enable", "transit")
    shell("write", "-f", "transit/keys/k")
    shell("auth", "enable", "approle")
    shell("auth", "enable", "userpass")
    shell("write", "auth/userpass/users/joe", "password=pw", "policies=p")
    shell("policy", "write", "p", "-", stdin=POLICY)
    shell("write", "kv/x", "a=b", "c=d")
    shell("write", "kv/j", "-", stdin=JSON)
    shell("kv", "put", "secret/app", "a=1")
    shell("kv", "put", "secret/app", "a=1", "long_name=two words")
    shell("kv", "put", "secret/gone", "a=1")
    shell("kv", "delete", "secret/gone")


def levelled(text: str) -> str:
    for shape, instead in SHAPES:
        text = shape.sub(instead, text)
    text = re.sub(r"(server_time_utc\W+)\d+", r"\1<seconds>", text)  # the second may end between the two calls
    if text.startswith("curl "):  # the reference puts headers in any order
        return " ".join(sorted(re.findall(r'-H "(?:[^"\\]|\\.)*"', text))) + re.sub(r'-H "(?:[^"\\]|\\.)*" ', "", text)
    return text


@pytest.mark.parametrize("line", LINES)
def test_the_same_as_bao(pair: Pair, line: str) -> None:
    words = line.split(" ")
    theirs, ours = pair.theirs(words), pair.ours(words)
    if line in ANY_TEXT:
        assert ours[0] == theirs[0]
        return
    assert (ours[0], levelled(ours[1]), levelled(ours[2])) == (theirs[0], levelled(theirs[1]), levelled(theirs[2]))
