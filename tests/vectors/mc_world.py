"""The servers, files and unlisted steps that the recorded mc transcripts rest on (mc/README.md), and the comparison."""

import asyncio
import hashlib
import io
import json
import os
import re
import socket
import struct
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from strongroom.chain.certificates import Pair, make_authority, make_identity, make_server
from strongroom.cli.mc import admin_service, cmd_ping
from strongroom.cli.mc import main as program
from strongroom.config.environment import RootCredentials
from strongroom.config.kms_environment import KesSettings, KmsSettings, StaticSettings
from strongroom.crypto.secret import Secret
from strongroom.kes.app import start as start_kes
from strongroom.kes.domain.policy import Policy
from strongroom.kes.domain.settings import FsSettings, TlsSettings
from strongroom.kes.domain.settings import Settings as KesServer
from strongroom.net import blocking
from strongroom.observe.log import OFF, Log
from strongroom.s3.app import Settings as S3Server
from strongroom.s3.app import start as start_s3
from strongroom.sdk.s3 import Client, Credentials, Settings
from strongroom.sdk.s3_body import Bytes

FOLDER = Path(__file__).parent
RECORDED = {"my": 27605, "kes": 27606, "tls": 27607, "dead": 27699}
KEY_ONE, KEY_TWO, WRONG = b"0123456789abcdef" * 2, b"1" * 32, b"2" * 32
POLICY = {"Version": "2012-10-17",
          "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"],
                         "Resource": ["arn:aws:s3:::bk1/*"]}]}  # fmt: skip
BUCKET_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["*"]},
                 "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::bk1/pub*"]}]}  # fmt: skip


def load(name):
    """Return a vector file of mc."""
    return json.loads((FOLDER / "mc" / name).read_text("utf-8"))


def overrides():
    """Return what we answer differently on purpose.

    By entry: `reason`; `without`, a text whose lines are left out of the recording; `replace`, pairs of texts in the
    recording (after simplified()); and by form (`any` for all of them) the members that are other ones. `tty: plain`:
    the screen shows what the plain form prints (where line breaks of the recording cut what varies). `requests`: the
    changing requests that we send, as changes() shows them, with `requests_reason` where that is another reason.
    """
    return json.loads((FOLDER / "overrides" / "mc.json").read_text("utf-8"))


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Servers:
    """An S3 server over HTTP with one static key, one over HTTPS, one with a key server; all in one thread."""

    def __init__(self, folder):
        self.folder = folder
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.running = []
        self.ports = asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(60)

    async def _start(self):
        folder = self.folder
        certs = folder / "certs"
        certs.mkdir()
        self.authority = Pair(folder / "ca.crt", folder / "ca.key")
        make_authority(self.authority)
        make_server(self.authority, Pair(certs / "public.crt", certs / "private.key"), ["127.0.0.1", "localhost"])
        root = RootCredentials("minio", Secret(b"minio123"))
        static = KmsSettings(static=StaticSettings("my-key", Secret(b"k" * 32)))
        my = await start_s3(S3Server(root, folder / "my", "127.0.0.1", free_port(), kms=static))
        tls = await start_s3(S3Server(root, None, "127.0.0.1", 0, certs=certs, kms=static))
        kes = await self._start_kes(certs, root)
        self.running += [my, tls, kes]
        return {"my": my.port, "kes": kes.port, "tls": tls.port, "dead": free_port()}

    async def _start_kes(self, certs, root):
        folder = self.folder
        client = Pair(folder / "s3.crt", folder / "s3.key")
        identity = make_identity(client, "s3")
        tls = TlsSettings(str(certs / "private.key"), str(certs / "public.crt"))
        policy = Policy(
            "s3", ("/v1/key/*", "/v1/status", "/v1/lifecycle/*", "/v1/api", "/version"), identities=(identity,)
        )
        settings = KesServer(host="127.0.0.1", port=0, admin="0" * 64, tls=tls, policies=(policy,),
                             store=FsSettings(str(folder / "keys")))  # fmt: skip
        app = await start_kes(settings, log=Log(OFF))
        self.running.append(app)
        kms = KesSettings((f"https://127.0.0.1:{app.port}",), "k1", "", str(client.key), str(client.certificate), "",
                          str(self.authority.certificate))  # fmt: skip
        return await start_s3(S3Server(root, None, "127.0.0.1", 0, kms=KmsSettings(kes=kms, bucket_keys=False)))

    def stop(self):
        async def end():
            for each in reversed(self.running):
                await each.stop(0.1)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@contextmanager
def two_rounds():
    """Let `mc ready` ask twice without waiting, then interrupt it as the recorder did."""
    with mock.patch.object(cmd_ping, "time") as clock:
        clock.sleep.side_effect = [None, KeyboardInterrupt]
        yield


class Screen(io.TextIOWrapper):
    """Captured output that may claim to be a terminal."""

    def __init__(self, terminal):
        super().__init__(io.BytesIO(), "utf-8", write_through=True, newline="\n")
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode("utf-8", "replace")


class World:
    """One pass: a form, an empty configuration folder, the local files, and the servers."""

    def __init__(self, form, folder):
        self.form, self.folder = form, folder
        self.cwd, self.config = folder / "cwd", folder / "config"
        self.cwd.mkdir()
        (folder / "servers").mkdir()
        self.servers = Servers(folder / "servers")
        self.ports = self.servers.ports
        make_files(self.cwd)
        self.version = ""
        who = Credentials("minio", "minio123")
        self.my = Client(Settings(f"http://127.0.0.1:{self.ports['my']}", who))
        self.steps = steps(self)

    def close(self):
        self.my.close()
        self.servers.stop()

    def real(self, text, name=""):
        """Put this run's ports, keys and versions in the place of the recording's."""
        for each, port in RECORDED.items():
            text = text.replace(f":{port}", f":{self.ports[each]}")
        key = WRONG if name.endswith("-wrong") else KEY_ONE
        if "c2.txt=" in text:
            key = KEY_TWO
        text = text.replace("<sha256-or-id>", key.hex()).replace("<version-id>", self.version)
        return text.replace("<uuid1>", "12345678-1234-4234-9234-123456789abc")

    def recorded(self, text):
        """The other way."""
        for each, port in self.ports.items():
            text = text.replace(f":{port}", f":{RECORDED[each]}").replace(f'"Port":{port}', f'"Port":{RECORDED[each]}')
        return text.replace(str(self.config), "<config-dir>").replace(str(self.cwd), "<cwd>")

    def run(self, entry):
        """Run one entry's command line; return exit code, standard output, standard error."""
        step = self.steps.get(entry["name"])
        if step is not None:
            step()
        words = [self.real(word, entry["name"]) for word in entry["argv"]]
        if self.form == "json":
            words = ["--json", *words]
        environ = {name: self.real(value) for name, value in entry.get("env", {}).items()}
        return self.call(words, entry.get("stdin", ""), environ)

    def call(self, words, stdin="", environ=()):
        """Run mc in this process."""
        terminal = self.form == "tty"
        out = Screen(terminal)
        err = out if terminal else Screen(False)
        kept = (sys.stdin, sys.stdout, sys.stderr, dict(os.environ), Path.cwd())
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")
        sys.stdout, sys.stderr = out, err
        for name in [name for name in os.environ if name.startswith(("MC_", "AWS_"))]:
            del os.environ[name]
        os.environ.update({"MC_CONFIG_DIR": str(self.config), "COLUMNS": "100", "TZ": "UTC", **dict(environ)})
        os.chdir(self.cwd)
        self.sent, send = [], blocking.Pool.request

        def watched(pool, method, target, headers, body=b""):
            self.sent.append((method, target, {name.lower(): value for name, value in headers}, body))
            return send(pool, method, target, headers, body)

        blocking.Pool.request = watched
        try:
            with mock.patch.object(admin_service, "GONE_SECONDS", 0.05):  # these servers do not go down
                code = program.main(list(words), "mc")
        finally:
            blocking.Pool.request = send
            sys.stdin, sys.stdout, sys.stderr = kept[:3]
            os.environ.clear()
            os.environ.update(kept[3])
            os.chdir(kept[4])
        return code, self.recorded(out.text()), "" if terminal else self.recorded(err.text())


def make_files(cwd):
    """Write the local files of the recordings."""
    texts = {"test.file": "test\n", "hello.txt": "Hello, world!\n", "empty": "", "with space.txt": "space\n",
             "üñí.txt": "unicode\n", "lines.txt": "".join(f"line {n}\n" for n in range(1, 21)), "mvme.txt": "move\n",
             "dir/a.txt": "a\n", "dir/b.txt": "bb\n", "dir/sub/c.txt": "ccc\n", "dir2/a.txt": "a\n",
             "dir2/b.txt": "bigger\n", "dir2/sub/d.txt": "d\n", "policy.json": json.dumps(POLICY),
             "bucketpolicy.json": json.dumps(BUCKET_POLICY),
             "alias.json": json.dumps({"url": f"http://127.0.0.1:{RECORDED['my']}", "accessKey": "minio",
                                       "secretKey": "minio123", "api": "S3v4", "path": "auto"})}  # fmt: skip
    for name, text in texts.items():
        (cwd / name).parent.mkdir(exist_ok=True)
        (cwd / name).write_text(text, "utf-8")
        os.utime(cwd / name, (1.7e9, 1.7e9))
    data = b"".join(hashlib.sha256(struct.pack("<I", n)).digest() for n in range(524288)) + b"!"
    (cwd / "big.bin").write_bytes(data)


def steps(world):
    """Return the preparations that lie between the entries, by the name of the entry after them."""
    my = world.my

    def put(bucket, key, data):
        return my.put(bucket, key, Bytes(data), [("Content-Type", "application/octet-stream")]).version_id

    def connect():
        my.remove_bucket("zz-env")
        for name, who in (("wrong", "minio:wrongsecret"), ("nokey", "nobody1:wrongsecret"), ("dead", "minio:minio123"),
                          ("kes", "minio:minio123"), ("tls", "minio:minio123")):  # fmt: skip
            access, secret = who.split(":")
            server = name if name in world.ports else "my"
            url = f"{'https' if name == 'tls' else 'http'}://127.0.0.1:{world.ports[server]}"
            assert world.call(["alias", "set", name, url, access, secret, "--api", "S3v4"])[0] == 0
        target = world.config / "certs" / "CAs" / "test.crt"
        target.write_bytes(world.servers.authority.certificate.read_bytes())
        assert world.call(["mb", "tls/bk1", "kes/kb1"])[0] == 0

    def before_cp():
        my.remove_bucket("b-eu")
        my.delete("bk1", [("folder/", "")])

    def before_marker():
        world.version = next(each.version_id for each in my.versions("ver") if each.key == "doc")
        put("ver", "doc", b"Hello, world!\n")

    def second(bucket):
        """The original copies `dir2` with `dir`, whose name it begins with; later entries rest on that."""
        for name in ("a.txt", "b.txt", "sub/d.txt"):
            data = (world.cwd / "dir2" / name).read_bytes()
            my.put(bucket, f"dir2/{name}", Bytes(data), [("Content-Type", "text/plain")])

    def three():
        for text in (b"1", b"2", b"3"):
            put("ver", "a", text)

    return {
        "alias-list": lambda: world.call(["alias", "rm", "tlsi"]),
        "alias-import-file": lambda: (world.cwd / "alias.json").write_text(
            world.real((world.cwd / "alias.json").read_text())),
        "env-host": lambda: my.make_bucket("zz-env"),
        "mb": connect,
        "rb-not-empty": lambda: put("bk2", "x", b"x"),
        "cp-file": before_cp,
        "cp-recursive-contents": lambda: second("bk1"),
        "cp-between-buckets": lambda: my.make_bucket("bk4"),
        "cp-between-servers": lambda: second("bk4"),
        "ls-incomplete": lambda: my.start_upload("bk1", "inc/one"),
        "head": lambda: put("bk1", "lines.txt", (world.cwd / "lines.txt").read_bytes()),
        "mirror-up": lambda: my.make_bucket("mir"),
        "version-info-excluded": lambda: world.call(["version", "enable", "my/bk4"]),  # see its override
        "rm-versioned-marker": before_marker,
        "rm-recursive-versions": three,
        "retention-set": lambda: put("lock", "obj", b"test\n"),
        "legalhold-set": lambda: put("lock", "obj2", b"test\n"),
        "rm-legalhold-version": lambda: put("lock", "obj2", b"again\n"),
    }  # fmt: skip


# ---- comparison ----

PATTERNS = {
    "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+",
    "rfc3339": r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)",
    "etag": r"[0-9a-f]{32}(?:-\d+)?",
    "number": r"[0-9.e+-]+",
    "date": r"\d{8}",
    "amz-date": r"\d{8}T\d{6}Z",
    "signature": r"[0-9a-f]{64}",
    "help text": r"(?s:NAME:.*)",
    "flag list": r"(?s:.*)",
    "random": r"[a-z0-9]{30}",
    "any": r"[^\n]*",
}
TABLE = re.compile(r"┌─+┬─+┬─+┬─+┐\n│ Total[^\n]*\n│ ([^│]*?) *│ ([^│]*?) *│[^\n]*\n└[^\n]*┘")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x1b]*\x1b\\")
# Older mc printed this block; we print it beside the new line (mc.md 1), see tests/unit/cli/mc/test_mc_stat.py.
OLD_BLOCK = re.compile(r"^Encrypted :\n(?:  X-Amz-Server-Side-Encryption[^\n]*(?:\n|\Z))+", re.MULTILINE)
BAR = re.compile(r"^(.*?): +([0-9.]+ \w+) / ([0-9.]+ \w+) ┃.*$")


def simplified(text):
    """Take out what differs between runs and cannot be a placeholder: widths, speeds, attributes of files."""
    text = TABLE.sub(r"TABLE total=\1 transferred=\2", text)
    text = OLD_BLOCK.sub("", text)
    text = re.sub(r"[0-9#]+\.[0-9#]+ms *", "Nms", text)
    text = re.sub(r"(?: -F (?!file=)[^ ]+=[^ ]+)+", lambda fields: "".join(sorted(fields[0].split(" -F "))), text)
    return re.sub(r"atime:\d+#\d+/gid:\d+/gname:\w+/mode:(\d+)/mtime:\d+#\d+/uid:\d+/uname:\w+", r"ATTRS \1", text)


def as_pattern(text):
    """Return a regular expression for recorded text: placeholders and volatile digits match anything alike."""
    pieces = re.split(r"(<[a-z][a-z0-9 -]*>|#[#.]*)", simplified(text))
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece):
    if piece.startswith("#"):
        return r"[0-9.]+"
    if re.fullmatch(r"<[a-z][a-z0-9 -]*>", piece):
        name = piece[1:-1]
        if name.startswith("uuid") or name in {"version-id", "upload-id"}:
            return r"[0-9a-zA-Z-]{20,}"
        return f"(?:{PATTERNS[name]})" if name in PATTERNS else "(?:<" + re.escape(name) + r">|\S+?)"
    return re.escape(piece)


def same_text(expected, found, *, any_order=False):
    """Tell whether found is what was recorded; any_order: transfers run in parallel, so that lines may swap."""
    found = simplified(found)
    if re.fullmatch(as_pattern(expected), found):
        return True
    if not any_order:
        return False
    lines, left = found.splitlines(), []
    for want in simplified(expected).splitlines():
        at = next((n for n, line in enumerate(lines) if re.fullmatch(as_pattern(want), line)), None)
        if at is None:
            left.append(want)
        else:
            lines.pop(at)
    return not lines and not left


VOLATILE = {"Usage", "duration", "speed", "timeLeft", "RequestID", "HostID", "Server", "totalCount", "totalSize",
            "time", "min", "max", "sum", "avg", "restartDuration", "waitingDuration", "timeTaken",
            "uptime", "totalspace", "usedspace", "availspace", "rawUsage", "rawCapacity"}  # fmt: skip


def same_value(expected, found):
    """Compare two documents; recorded placeholders match anything alike."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return set(expected) == set(found) and all(
            name in VOLATILE or same_value(value, found[name]) for name, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same_value, expected, found))
    if isinstance(expected, str) and isinstance(found, str):
        return re.fullmatch(as_pattern(expected), simplified(found)) is not None
    return expected == found and type(expected) is type(found)


def documents(text):
    """Read JSON lines, or documents that are indented; None when it is something else."""
    found, reader, at = [], json.JSONDecoder(), 0
    text = re.sub(r":\s*<number>", ":0", text)
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            value, at = reader.raw_decode(text, at)
        except ValueError:
            return None
        found.append(value)
    return found


def same_json(expected, found, *, any_order=False):
    """Compare what --json printed."""
    want, have = documents(expected), documents(found)
    if want is None or have is None:
        return same_text(expected, found, any_order=any_order)
    if len(want) == len(have) and all(map(same_value, want, have)):
        return True
    if not any_order:
        return False
    for each in want:
        at = next((n for n, value in enumerate(have) if same_value(each, value)), None)
        if at is None:
            return False
        have.pop(at)
    return not have


def rendered(text):
    """Return what a terminal would show: no colours, the last state of a redrawn line."""
    lines = [line.rpartition("\r")[2] if "\r" in line.rstrip("\r") else line for line in ANSI.sub("", text).split("\n")]
    return "\n".join(line.rstrip("\r") for line in lines)


def same_screen(expected, found, *, any_order=False):
    """Compare screens: blanks and line breaks do not count (100 columns wrap), of a bar only name and amounts."""
    want, have = screen(expected), screen(rendered(found))
    return same_text(want, have, any_order=any_order) or same_text("".join(want.split()), "".join(have.split()))


def screen(text):
    """Return a screen in comparable form: long lines whole again, a bar as its amounts, no empty lines."""
    lines, held = [], ""
    for part in text.replace("\r", "").split("\n"):
        line, held = held + part, ""
        if len(part) == 100 and "┃" not in part:
            held = line
            continue
        bar = BAR.match(line.strip())
        if bar:
            line = f"BAR {bar[2]} of {bar[3]}"
        if line.strip() and not line.strip().startswith("0 B / ? ┃"):
            lines.append(line.rstrip())
    return "\n".join([*lines, held] if held else lines)


# ---- requests ----

COMPARED = ("content-type", "cache-control", "if-none-match", "x-amz-tagging", "x-amz-storage-class",
            "x-amz-copy-source",
            "x-amz-metadata-directive", "x-amz-checksum-algorithm", "x-amz-trailer", "x-amz-decoded-content-length",
            "x-amz-bypass-governance-retention", "x-amz-bucket-object-lock-enabled", "x-amz-object-lock-mode",
            "x-amz-object-lock-legal-hold", "x-amz-content-sha256", "content-md5")  # fmt: skip
GROUPS = ("x-amz-meta-", "x-amz-server-side-encryption", "x-amz-copy-source-server-side")


def changes(requests):
    """Return the requests that change something, each as comparable text: sorted."""
    return sorted(_change(*each) for each in requests if each[0] in {"PUT", "POST", "DELETE"})


def ours(sent):
    """Return what this program sent, in the recording's form."""
    found = []
    for method, target, headers, body in sent:
        path, _, query = target.partition("?")
        data = b"" if callable(body) else bytes(body)
        found.append((method, path, query, headers, data))
    return found


def theirs(entry):
    """Return what the original sent."""
    return [(each["method"], each["path"], each["query"],
             {name.lower(): value for name, value in each["headers"].items()},
             each.get("body", "").encode()) for each in entry["requests"]]  # fmt: skip


def _change(method, path, query, headers, body):
    pairs = sorted(pair if "=" in pair else pair + "=" for pair in query.split("&") if pair)
    query = "&".join(re.sub(r"^(uploadId|versionId)=.*", r"\1=", pair) for pair in pairs)
    kept = [f"{name}={_header(name, value, path, query)}" for name, value in sorted(headers.items())
            if name in COMPARED or name.startswith(GROUPS)]  # fmt: skip
    shown = _document(body) if "x-amz-decoded-content-length" not in headers and "/minio/" not in path else ""
    return " ".join(
        [method, path, "?" + query, *filter(None, (each.partition("=")[2] and each for each in kept)), shown]
    )


def _header(name, value, path, query):
    if name == "x-amz-content-sha256":
        return value if value.startswith("STREAMING") else ""  # of documents it is their hash, or left out
    if name == "content-md5":
        return ""  # see the document itself
    if name == "content-type" and (query or "/minio/" in path):
        return ""
    if name.startswith("x-amz-server-side-encryption") and query == "uploadId=":
        return ""  # the upload's start has said it
    return re.sub(r"atime:.*", "ATTRS", value)


def _document(body):
    """Return a body without volatile values, JSON with sorted members."""
    text = body.decode("utf-8", "replace") if len(body) < 100_000 else ""
    if text.startswith("{"):
        document = json.loads(text)
        for each in document.get("Statement", ()):
            each.pop("Sid", None)
        rows = sorted(json.dumps({k: sorted(v) if isinstance(v, list) else v for k, v in each.items()}, sort_keys=True)
                      for each in document.get("Statement", ()))  # fmt: skip
        return " ".join(rows)
    if text and not text.startswith("<"):
        return ""
    text = re.sub(r"<(VersionId|ETag|RetainUntilDate)>.*?</\1>", r"<\1/>", text)
    return text.replace(' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"', "")
