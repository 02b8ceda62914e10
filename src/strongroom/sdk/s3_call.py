"""One signed request to an S3 server: origin, region, signature, retries (mc.md 5.1)."""

import hashlib
import platform
import random
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from strongroom import __version__
from strongroom.errors import BadSettings, Malformed
from strongroom.messages import Buffer
from strongroom.net.blocking import Answer, Pool
from strongroom.net.dialling import Dialling, Origin, Unreachable, Untrusted
from strongroom.s3.wire import sigv4
from strongroom.sdk import s3_body
from strongroom.sdk.s3_body import CHECKSUMS, Bytes, Content, Seal
from strongroom.sdk.s3_errors import S3Error, from_answer

Query = Sequence[tuple[str, str]]
UNSIGNED = sigv4.UNSIGNED_PAYLOAD
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
RETRIED = frozenset({408, 429, 499, 500, 502, 503, 504, 520})
UNIT_SECONDS, CAP_SECONDS = 0.2, 1.0
TRIES = 10
SMALL = 48 * 1024  # bytes
_HOSTED = re.compile(r"(^|\.)(amazonaws\.com(\.cn)?|googleapis\.com)$")
DIGEST_SIZES = {"CRC32": 8, "CRC32C": 8, "CRC64NVME": 12, "SHA1": 28, "SHA256": 44}  # base64 characters


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks. Without an access key requests are anonymous."""

    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """How one server is spoken to.

    path_style  True: bucket in the path; False: in the host name; None: by the host (Amazon and Google: host name)
    region      signs everything when given; else each bucket's location is asked once
    extra       headers for every request
    trace       told of every exchange: method, URL, request headers, status, answer headers (secrets taken out)
    """

    url: str
    credentials: Credentials = Credentials()
    api: str = "S3v4"
    path_style: bool | None = None
    region: str = ""
    dialling: Dialling = field(default_factory=Dialling)
    extra: tuple[tuple[str, str], ...] = ()
    agent: str = ""
    tries: int = TRIES
    trace: Callable[..., None] | None = None


class Lost(Unreachable):
    """The server was not reached. `op` and `url` say what was asked, in the words of Go's net/http."""

    def __init__(self, op: str, url: str, cause: Unreachable) -> None:
        super().__init__(f'{op} "{url}": {cause.reason}', address=cause.address, refused=cause.refused,
                         number=cause.number)  # fmt: skip
        self.op, self.url, self.untrusted = op, url, isinstance(cause, Untrusted)


def origin_of(url: str) -> Origin:
    """Return the origin of `scheme://host[:port]`; raise BadSettings."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise BadSettings(f"`{url}`: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadSettings(f"`{url}` is not scheme://host[:port]")
    tls = parts.scheme == "https"
    return Origin(parts.hostname, port or (443 if tls else 80), tls)


@dataclass(frozen=True, slots=True)
class Upload:
    """A request's body and how it is protected.

    form      "plain": hashed and sent with Content-Length; "stream": chunk-signed over HTTP, unsigned over TLS
    checksum  one of CHECKSUMS: sent as a trailer (stream only)
    """

    content: Content = field(default_factory=lambda: Bytes(b""))
    form: str = "plain"
    checksum: str = ""


class Caller:
    """Sends requests to one server; usable from many threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.origin = origin_of(settings.url)
        hosted = bool(_HOSTED.search(self.origin.host))
        self.path_style = not hosted if settings.path_style is None else settings.path_style
        self._pools: dict[str, Pool] = {}
        self._keys: dict[tuple[str, str], bytes] = {}
        self._lock = threading.Lock()
        self._reached = False
        self.skew = 0.0  # seconds to add to our clock
        os_name = {"linux": "linux", "darwin": "darwin", "win32": "windows"}.get(sys.platform, sys.platform)
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        self.agent = settings.agent or f"Strongroom ({os_name}; {machine}) strongroom/{__version__}"

    def close(self) -> None:
        """Close idle connections."""
        for pool in self._pools.values():
            pool.close()

    def place(self, bucket: str, key: str) -> tuple[Pool, str]:
        """Return the connections and the encoded path for an address."""
        origin = self.origin
        path = f"/{_encoded(bucket)}/{_encoded(key)}" if bucket else "/"
        if bucket and not self.path_style:
            origin = Origin(f"{bucket}.{origin.host}", origin.port, origin.tls)
            path = path[path.index("/", 1) :]
        with self._lock:
            pool = self._pools.get(origin.host)
            if pool is None:
                pool = self._pools[origin.host] = Pool(origin, self.settings.dialling)
        return pool, path

    def url(self, pool: Pool, path: str, query: str = "") -> str:
        """Return the address for messages and presigning."""
        scheme = "https" if pool.origin.tls else "http"
        return f"{scheme}://{pool.origin.authority}{path}{'?' + query if query else ''}"

    def key(self, day: str, region: str) -> bytes:
        """Return the signing key of a day (YYYYMMDD) and region, derived once."""
        found = self._keys.get((day, region))
        if found is None:
            found = self._keys[day, region] = sigv4.signing_key(self.settings.credentials.secret_key, day, region)
        return found

    def now(self) -> datetime:
        """Return the time that requests carry."""
        return datetime.fromtimestamp(time.time() + self.skew, UTC)

    # ---- one exchange ----

    def send(self, method: str, bucket: str = "", key: str = "", query: Query = (), *,
             headers: Iterable[tuple[str, str]] = (), upload: Upload | None = None, region: str = "us-east-1",
             payload: str = "", path: str = "", good: frozenset[int] = frozenset({200, 204, 206}),
             tries: int = 0) -> Answer:  # fmt: skip
        """Send a request, again after failures that may pass; return its answer (status in good).

        payload  x-amz-content-sha256 for a request without body, when it is not the hash of nothing
        path     of requests that are not to a bucket (admin, health)
        Raises S3Error for a refusal, Lost when the server is not reached.
        """
        pool, address = self.place(bucket, key)
        address = path or address
        text = sigv4.canonical_query(query)
        tries = tries or self.settings.tries
        for number in range(1, tries + 1):
            try:
                answer = self._once(pool, method, address, text, query, headers, upload, region, payload)
                self._reached = True
            except Unreachable as error:
                once = isinstance(error, Untrusted) or (not self._reached and error.number != 104)
                if once or number == tries:
                    target = address + ("?" + text if text else "")
                    raise Lost(method.capitalize(), self.url(pool, target), error) from error
                self._pause(number)
                continue
            if answer.status in good:
                return answer
            refusal = from_answer(answer.status, answer.headers, answer.read(), bucket, key)
            if number == tries or not self._retried(answer.status, refusal):
                raise refusal
            self._pause(number)
        raise AssertionError("unreachable: the last try returns or raises")

    @staticmethod
    def _retried(status: int, refusal: S3Error) -> bool:
        if refusal.code in {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "RequestThrottled"}:
            return True
        return status in RETRIED and not (status in {500, 503} and refusal.code not in _PASSING)

    @staticmethod
    def _pause(number: int) -> None:
        time.sleep(min(CAP_SECONDS, UNIT_SECONDS * 2 ** (number - 1)) * random.uniform(0.5, 1.0))  # noqa: S311

    def _once(self, pool: Pool, method: str, path: str, text: str, query: Query, headers: Iterable[tuple[str, str]],
              upload: Upload | None, region: str, payload: str) -> Answer:  # fmt: skip
        sent = dict(headers)
        sent.update(self.settings.extra)
        body: Buffer | Callable[[], Iterable[Buffer]] = b""
        seal: Seal | None = None
        if upload is not None:
            payload = self._describe(upload, sent)
        stamp = self.now().strftime(sigv4.AMZ_DATE)
        final = self._signed(pool, method, path, query, sent, payload or sigv4.EMPTY_SHA256, region, stamp)
        if upload is not None:
            if payload == STREAMING:
                where = sigv4.scope(stamp[:8], region)
                seal = Seal(self.key(stamp[:8], region), stamp, where, final["authorization"][-64:])
            body = _body(upload, payload, seal)
        _one_line_each(final)
        final.pop("host", None)
        final["User-Agent"] = self.agent
        answer = pool.request(method, f"{path}?{text}" if text else path, list(final.items()), body)
        if self.settings.trace is not None:
            self.settings.trace(method, self.url(pool, path, text), final, answer.status, answer.headers)
        return answer

    def _describe(self, upload: Upload, sent: dict[str, str]) -> str:
        """Add the headers that describe a body; return its payload hash or marker."""
        length = upload.content.length
        anonymous = not self.settings.credentials.access_key or self.settings.api.lower() == "s3v2"
        if upload.form == "plain":
            digest = hashlib.sha256()
            for piece in upload.content.start():
                digest.update(piece)
            if not isinstance(upload.content, Bytes):
                sent["Content-Length"] = str(length)
            return digest.hexdigest()
        if upload.checksum and not anonymous:
            name = f"x-amz-checksum-{upload.checksum.lower()}"
            size = DIGEST_SIZES[upload.checksum]
            earlier = sent.get("Content-Encoding")
            sent["Content-Encoding"] = f"{earlier},aws-chunked" if earlier else "aws-chunked"
            sent["x-amz-trailer"], sent["x-amz-decoded-content-length"] = name, str(length)
            sent["Content-Length"] = str(s3_body.trailer_length(length, name, size))
            return TRAILER
        if self.origin.tls or anonymous:
            sent["Content-Length"] = str(length)
            return UNSIGNED
        sent["x-amz-decoded-content-length"] = str(length)
        sent["Content-Length"] = str(s3_body.signed_length(length))
        return STREAMING

    def _signed(self, pool: Pool, method: str, path: str, query: Query, sent: dict[str, str], payload: str,
                region: str, stamp: str) -> dict[str, str]:  # fmt: skip
        who = self.settings.credentials
        if not who.access_key:
            return sent
        if who.token:
            sent["x-amz-security-token"] = who.token
        if self.settings.api.lower() == "s3v2":
            from strongroom.sdk import s3_sigv2  # old servers only

            bucket = "" if self.path_style else pool.origin.host.partition(".")[0]
            return s3_sigv2.sign(method, path, query, sent, who.access_key, who.secret_key, self.now(), bucket)
        sent["host"] = pool.origin.authority
        return sigv4.sign(method, path, query, sent, access_key=who.access_key, key=self.key(stamp[:8], region),
                          region=region, amz_date=stamp, payload_hash=payload)  # fmt: skip


def _encoded(text: str) -> str:
    return sigv4.encode_path(text.encode("utf-8", "surrogateescape"))


def _one_line_each(headers: Mapping[str, str]) -> None:
    """Raise Malformed for a header that would become two: --attr and metadata of others come here."""
    for name, value in headers.items():
        if any(mark in name or mark in value for mark in "\r\n\0"):
            raise Malformed(f"the value for {name.splitlines()[0]} holds a line break")


_PASSING = frozenset({"500", "503", "InternalError", "ServiceUnavailable", "SlowDown", "SlowDownRead", "SlowDownWrite",
                      "XMinioServerNotInitialized", "XMinioAdminBucketQuotaExceeded"})  # fmt: skip


def _body(upload: Upload, payload: str, seal: Seal | None) -> Buffer | Callable[[], Iterable[Buffer]]:
    """Return what is sent: a small body as one piece, which travels with the head in one write."""
    content = upload.content
    if isinstance(content, Bytes) and upload.form == "plain":
        return content.data
    start: Callable[[], Iterable[Buffer]] = content.start
    if seal is not None:
        start = partial(s3_body.signed, content, seal)
    elif payload == TRAILER:
        name = f"x-amz-checksum-{upload.checksum.lower()}"
        start = partial(_with_trailer, content, name, upload.checksum)
    return start if content.length > SMALL else b"".join(map(bytes, start()))


def _with_trailer(content: Content, header: str, checksum: str) -> Iterable[Buffer]:
    return s3_body.with_trailer(content, header, CHECKSUMS[checksum]())


def expect(answer: Answer) -> bytes:
    """Read a small answer to its end."""
    with answer:
        return answer.read()


def checked(answer: Answer, bucket: str, key: str) -> bytes:
    """Read an answer that may be a refusal behind status 200 (complete, copy); raise S3Error (s3.md 6)."""
    data = expect(answer)
    if b"<Error>" in data[:512]:
        raise from_answer(500, answer.headers, data, bucket, key)
    return data
