"""Outside seals: a static key, another server's transit key, a token behind PKCS#11 (vault.md 8.4)."""

import asyncio
import json
import os
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from strongroom.errors import BadSettings, Tampered, Unavailable
from strongroom.kms.domain.barrier import KEY_SIZE, open_with, seal_with
from strongroom.kms.domain.ports import AutoSeal
from strongroom.net.client import HttpClient, client_tls

PATH = "core/root-key"
TIMEOUT = 10.0  # seconds
RENEW_EVERY = 3600.0  # seconds between renewals of a transit seal's token


class Wrapped(msgspec.Struct):
    """What a seal stores: which key, and the bytes that only it opens; `key`: a wrapped key between (PKCS#11)."""

    id: str
    data: bytes
    key: bytes = b""


def _decode(data: bytes) -> Wrapped:
    try:
        return msgspec.msgpack.decode(data, type=Wrapped)
    except msgspec.MsgspecError as error:
        raise Tampered("the root key is not sealed by an outside seal") from error


def read_key(text: str, place: str) -> bytes:
    """Return 32 bytes given as file://, env://, hex or base64; raise BadSettings."""
    try:
        if text.startswith("file://"):
            data = Path(text[7:]).read_bytes()
            if len(data) == KEY_SIZE:
                return data
            text = data.decode().strip()
        elif text.startswith("env://"):
            text = os.environ.get(text[6:], "")
        data = bytes.fromhex(text) if len(text) == 2 * KEY_SIZE else b64decode(text, validate=True)
    except (OSError, ValueError) as error:
        raise BadSettings(f"{place}: cannot be read as a key of 32 bytes") from error
    if len(data) != KEY_SIZE:
        raise BadSettings(f"{place}: has {len(data)} bytes, a key has 32")
    return data


class StaticSeal:
    """A key from a file or the environment; a previous key still opens, for rotation."""

    kind = "static"

    def __init__(self, options: Mapping[str, str]) -> None:
        self._id = options.get("current_key_id") or "1"
        self._keys = {self._id: read_key(options.get("current_key", ""), "seal static: current_key")}
        if options.get("previous_key"):
            previous = options.get("previous_key_id") or "0"
            self._keys[previous] = read_key(options["previous_key"], "seal static: previous_key")

    async def wrap(self, plaintext: bytes) -> bytes:
        """Return plaintext sealed by the current key."""
        return msgspec.msgpack.encode(Wrapped(self._id, seal_with(self._keys[self._id], PATH, plaintext)))

    async def unwrap(self, sealed: bytes) -> bytes:
        """Return what the current or previous key sealed; raise Tampered."""
        found = _decode(sealed)
        key = self._keys.get(found.id)
        if key is None:
            raise Tampered(f"the root key is sealed by static key {found.id!r}, which is not configured")
        return open_with(key, PATH, found.data)


class TransitSeal:
    """A transit key of another kms, Vault or OpenBao."""

    kind = "transit"

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = options
        for name in ("address", "key_name"):
            if not options.get(name):
                raise BadSettings(f"seal transit: {name} is missing")
        self._base = f"{options['address'].rstrip('/')}/v1/"
        self._mount = options.get("mount_path", "transit").strip("/")
        self._renewed = time.monotonic()

    def _token(self) -> str:
        environment = os.environ.get("BAO_TOKEN") or os.environ.get("VAULT_TOKEN") or ""
        return self._options.get("token") or environment

    def _tls(self) -> ssl.SSLContext | None:
        options = self._options
        if not options["address"].startswith("https"):
            return None
        return client_tls(
            ca_file=options.get("tls_ca_cert") or None,
            insecure=options.get("tls_skip_verify", "").lower() in ("true", "1"),
            cert=options.get("tls_client_cert") or None,
            key=options.get("tls_client_key") or None,
        )

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = [("X-Vault-Token", self._token()), ("X-Vault-Request", "true")]
        if self._options.get("namespace"):
            headers.append(("X-Vault-Namespace", self._options["namespace"]))
        async with HttpClient(tls=self._tls()) as client:
            data = json.dumps(body).encode()
            answer = await client.request("PUT", self._base + path, headers=headers, body=data, timeout=TIMEOUT)
        if answer.status == 400:
            raise Tampered("the transit seal refuses the sealed root key")
        if answer.status != 200:
            raise Unavailable(f"the transit seal answers {answer.status}")
        try:
            return dict(json.loads(answer.body)["data"] or {})
        except (ValueError, KeyError) as error:
            raise Unavailable("the transit seal's answer is not of this protocol") from error

    async def wrap(self, plaintext: bytes) -> bytes:
        """Return plaintext encrypted by the transit key."""
        path = f"{self._mount}/encrypt/{self._options['key_name']}"
        found = await self._ask(path, {"plaintext": b64encode(plaintext).decode()})
        return msgspec.msgpack.encode(Wrapped(self._options["key_name"], str(found["ciphertext"]).encode()))

    async def unwrap(self, sealed: bytes) -> bytes:
        """Return what the transit key encrypted."""
        path = f"{self._mount}/decrypt/{self._options['key_name']}"
        found = await self._ask(path, {"ciphertext": _decode(sealed).data.decode()})
        return b64decode(found["plaintext"])

    async def renew(self) -> None:
        """Keep the token alive, once an hour."""
        if self._options.get("disable_renewal", "").lower() in ("true", "1"):
            return
        if time.monotonic() - self._renewed >= RENEW_EVERY:
            self._renewed = time.monotonic()
            async with HttpClient(tls=self._tls()) as client:
                headers = [("X-Vault-Token", self._token())]
                url = self._base + "auth/token/renew-self"
                await client.request("PUT", url, headers=headers, body=b"{}", timeout=TIMEOUT)


class Pkcs11Seal:
    """An AES key of a token. It wraps a fresh key by AES-CBC-PAD, which every token has; that key seals the root key
    by AES-GCM, so that changed bytes do not open."""

    kind = "pkcs11"

    def __init__(self, options: Mapping[str, str]) -> None:
        try:
            import pkcs11
        except ImportError as error:
            raise BadSettings("seal pkcs11 needs the extra: pip install 'strongroom[pkcs11]'") from error
        for name in ("lib", "key_label"):
            if not options.get(name):
                raise BadSettings(f"seal pkcs11: {name} is missing")
        self._options, self._pkcs11 = options, pkcs11
        self._pin = options.get("pin") or os.environ.get("BAO_HSM_PIN") or os.environ.get("VAULT_HSM_PIN") or ""

    def _session(self) -> Any:
        library = self._pkcs11.lib(self._options["lib"])
        if self._options.get("slot"):
            wanted = int(self._options["slot"], 0)
            token = next(slot.get_token() for slot in library.get_slots() if slot.slot_id == wanted)
        else:
            token = library.get_token(token_label=self._options.get("token_label"))
        return token.open(user_pin=self._pin or None, rw=True)

    def _key(self, session: Any) -> Any:
        pkcs11, label = self._pkcs11, self._options["key_label"]
        try:
            return session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=label)
        except pkcs11.exceptions.NoSuchKey:
            if self._options.get("generate_key", "").lower() not in ("true", "1"):
                raise
            return session.generate_key(pkcs11.KeyType.AES, 256, label=label, store=True)

    def _call(self, work: Any) -> bytes:
        try:
            with self._session() as session:
                return bytes(work(self._key(session)))
        except (self._pkcs11.exceptions.PKCS11Error, StopIteration) as error:
            raise Unavailable(f"PKCS#11: {type(error).__name__}") from error

    async def wrap(self, plaintext: bytes) -> bytes:
        """Return plaintext sealed by a fresh key that the token wrapped."""
        fresh, vector = os.urandom(KEY_SIZE), os.urandom(16)
        wrapped = await asyncio.to_thread(self._call, lambda key: key.encrypt(fresh, mechanism_param=vector))
        record = Wrapped(self._options["key_label"], seal_with(fresh, PATH, plaintext), vector + wrapped)
        return msgspec.msgpack.encode(record)

    async def unwrap(self, sealed: bytes) -> bytes:
        """Return what a key that the token unwraps had sealed."""
        found = _decode(sealed)
        vector, wrapped = found.key[:16], found.key[16:]
        fresh = await asyncio.to_thread(self._call, lambda key: key.decrypt(wrapped, mechanism_param=vector))
        if len(fresh) != KEY_SIZE:
            raise Tampered("the token unwrapped something else")
        return open_with(fresh, PATH, found.data)


_KINDS: dict[str, type[StaticSeal] | type[TransitSeal] | type[Pkcs11Seal]] = {
    "static": StaticSeal,
    "transit": TransitSeal,
    "pkcs11": Pkcs11Seal,
}


def open_seal(kind: str, options: Mapping[str, str]) -> AutoSeal | None:
    """Return the seal of a type, None for Shamir; raise BadSettings."""
    if kind in ("", "shamir"):
        return None
    return _KINDS[kind](options)
