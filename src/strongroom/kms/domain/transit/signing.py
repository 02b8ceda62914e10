"""Signatures and HMACs with a transit key (vault.md 6.2)."""

import hmac
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.transit.record import MISSING_CONTEXT, Key, KeyPair, key_pair
from strongroom.kms.domain.transit.symmetric import PREFIX, derive, parse

HASHES: dict[str, hashes.HashAlgorithm | None] = {
    "none": None,
    "sha1": hashes.SHA1(),  # noqa: S303 - offered for old signatures, as the original does
    "sha2-224": hashes.SHA224(),
    "sha2-256": hashes.SHA256(),
    "sha2-384": hashes.SHA384(),
    "sha2-512": hashes.SHA512(),
    "sha3-224": hashes.SHA3_224(),
    "sha3-256": hashes.SHA3_256(),
    "sha3-384": hashes.SHA3_384(),
    "sha3-512": hashes.SHA3_512(),
}
DIGESTS = {
    "sha1": "sha1",
    "sha2-224": "sha224",
    "sha2-256": "sha256",
    "sha2-384": "sha384",
    "sha2-512": "sha512",
    "sha3-224": "sha3_224",
    "sha3-256": "sha3_256",
    "sha3-384": "sha3_384",
    "sha3-512": "sha3_512",
}
WHOLE = {"ecdsa-p256": hashes.SHA256(), "ecdsa-p384": hashes.SHA384(), "ecdsa-p521": hashes.SHA512()}
WIDTHS = {"ecdsa-p256": 32, "ecdsa-p384": 48, "ecdsa-p521": 66}


@dataclass(frozen=True, slots=True)
class How:
    """How to sign: hash name, pss or pkcs1v15, asn1 or jws, whether the input is a hash, PSS salt length."""

    hash: str = "sha2-256"
    padding: str = "pss"
    marshaling: str = "asn1"
    prehashed: bool = False
    salt: str = "auto"

    def check(self) -> None:
        """Raise Refused for names that nobody knows."""
        if self.hash not in HASHES:
            raise Refused(f'invalid hash algorithm "{self.hash}"')
        if self.padding not in ("pss", "pkcs1v15", ""):
            raise Refused(f"unsupported rsa signature algorithm {self.padding}")
        if self.marshaling not in ("asn1", "jws", ""):
            raise Refused(f'invalid marshaling type "{self.marshaling}"')
        if self.salt not in ("auto", "hash") and not self.salt.lstrip("-").isdecimal():
            raise Refused(f"salt length neither 'auto', 'hash', nor an int: {self.salt}")
        if self.hash == "none" and (not self.prehashed or self.padding != "pkcs1v15"):
            raise Refused("hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15")


def _pair(key: Key, number: int, context: bytes) -> KeyPair:
    material = key.version(number).key
    if key.derived:
        if not context:
            raise Refused(MISSING_CONTEXT)
        material = derive(material, context, 32)
    return key_pair(key.kind, material)


def _padding(how: How, *, verify: bool) -> padding.AsymmetricPadding:
    if how.padding == "pkcs1v15":
        return padding.PKCS1v15()
    found = HASHES[how.hash]
    assert found is not None
    salts: dict[str, object] = {"auto": padding.PSS.AUTO if verify else padding.PSS.MAX_LENGTH}
    salts["hash"] = padding.PSS.DIGEST_LENGTH
    salt = salts.get(how.salt)
    if salt is None:
        if not how.salt.isdecimal():
            raise Refused(f'invalid salt length "{how.salt}"')
        salt = int(how.salt)
    return padding.PSS(padding.MGF1(found), salt)  # type: ignore[arg-type]


def _algorithm(how: How) -> "hashes.HashAlgorithm | utils.Prehashed | utils.NoDigestInfo":
    found = HASHES[how.hash]
    if found is None:
        return utils.NoDigestInfo()
    return utils.Prehashed(found) if how.prehashed else found


def sign(key: Key, number: int, data: bytes, context: bytes, how: How) -> tuple[str, bytes]:
    """Return (signature text, raw public key of a derived ed25519 key or b""); raise Refused."""
    if not key.type.signs:
        raise Refused(f"key type {key.kind} does not support signing")
    private = _pair(key, number, context)
    public = b""
    try:
        if isinstance(private, ed25519.Ed25519PrivateKey):
            made = private.sign(data)
            public = private.public_key().public_bytes_raw() if key.derived else b""
        elif isinstance(private, ec.EllipticCurvePrivateKey):
            made = private.sign(*_ecdsa(key, data, how))
            if how.marshaling == "jws":
                made = _raw(key, made)
        else:
            made = private.sign(data, _padding(how, verify=False), _algorithm(how))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused(f"error performing signing operation: {error}") from error
    text = urlsafe_b64encode(made).rstrip(b"=") if how.marshaling == "jws" else b64encode(made)
    return f"{PREFIX}{number}:{text.decode()}", public


def _ecdsa(key: Key, data: bytes, how: How) -> tuple[bytes, ec.ECDSA]:
    """Return what is signed and how; a prehashed input is one of any length, as a number (FIPS 186-5, 6.4.1)."""
    found = HASHES[how.hash]
    if found is not None and not how.prehashed:
        return data, ec.ECDSA(found)
    whole = WHOLE[key.kind]
    return data[: whole.digest_size].rjust(whole.digest_size, b"\0"), ec.ECDSA(utils.Prehashed(whole))


def _raw(key: Key, der: bytes) -> bytes:
    """Return r ‖ s of a DER signature (RFC 7518, 3.4)."""
    r, s = utils.decode_dss_signature(der)
    width = WIDTHS[key.kind]
    return r.to_bytes(width, "big") + s.to_bytes(width, "big")


def verify(key: Key, text: str, data: bytes, context: bytes, how: How) -> bool:
    """Say whether a signature is right; raise Refused for one without the form."""
    if not key.type.signs:
        raise Refused(f"key type {key.kind} does not support verification")
    number, made = _parse(key, text, how)
    public = _pair(key, number, context).public_key()
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(made, data)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            if how.marshaling == "jws":
                half = WIDTHS[key.kind]
                if len(made) != 2 * half:
                    return False
                made = utils.encode_dss_signature(
                    int.from_bytes(made[:half], "big"), int.from_bytes(made[half:], "big")
                )
            public.verify(made, *_ecdsa(key, data, how))
        else:
            assert isinstance(public, rsa.RSAPublicKey)
            public.verify(made, data, _padding(how, verify=True), _algorithm(how))  # type: ignore[arg-type]
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _parse(key: Key, text: str, how: How) -> tuple[int, bytes]:
    if how.marshaling == "jws":
        head, _, body = text.rpartition(":")
        try:
            plain = urlsafe_b64decode(body + "=" * (-len(body) % 4))
        except ValueError as error:
            raise Refused("invalid signature: could not decode base64") from error
        text = f"{head}:{b64encode(plain).decode()}"
    return parse(key, text, "signature")


def hmac_text(key: Key, number: int, data: bytes, algorithm: str) -> str:
    """Return `vault:v<n>:<base64>` of an HMAC under a version's HMAC key; raise Refused."""
    made = hmac.digest(key.version(number).hmac_key, data, _digest_name(algorithm))
    return f"{PREFIX}{number}:{b64encode(made).decode()}"


def _digest_name(algorithm: str) -> str:
    if algorithm not in DIGESTS:
        raise Refused("unsupported algorithm '\\x00'")
    return DIGESTS[algorithm]


def verify_hmac(key: Key, text: str, data: bytes, algorithm: str) -> bool:
    """Say whether an HMAC is right, in constant time."""
    number, made = parse(key, text, "HMAC to verify")
    wanted = hmac.digest(key.version(number).hmac_key, data, _digest_name(algorithm))
    return hmac.compare_digest(made, wanted)
