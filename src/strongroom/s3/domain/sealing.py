"""An object's seal: from the wanted encryption to ciphers, and back from the stored metadata (sse.md 1-4).

    seal = await new_seal(want, bucket, key, keys)            # writer: a fresh object key
    sealed = seal.sealer(size=n).feed(window) ...
    seal.authenticate(record)                                 # then store seal.metadata

    seal = await open_seal(metadata, bucket, key, keys)       # reader
    seal.verify(record)
    plain = seal.opener(first_package=span.first, partial=True).feed(window) ...

Formats: docs/formats/sealed-keys.md.
"""

from collections.abc import Mapping

import msgspec

from strongroom.crypto import context as contexts
from strongroom.crypto import hierarchy
from strongroom.crypto.hierarchy import Domain
from strongroom.crypto.secret import Secret
from strongroom.errors import Malformed, Tampered
from strongroom.s3.domain import seal_metadata
from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.key_errors import DamagedMetadata, NoKeyService, WrongCiphertext, WrongKey
from strongroom.s3.domain.object_seal import Keys, ObjectSeal, Under
from strongroom.s3.domain.ports import DataKeys

_OUTER = "\0outer"  # behind an address, of which no key may be: the second layer's key is sealed to this
DOMAINS = {Kind.S3: Domain.SSE_S3, Kind.KMS: Domain.SSE_KMS, Kind.C: Domain.SSE_C}


class _External(msgspec.Struct, frozen=True):
    """A data key (the customer's own in SSE-C) and what is stored about it."""

    data_key: Secret
    stored: dict[str, str] = {}


async def new_seal(
    want: Encryption,
    bucket: str,
    key: str,
    keys: DataKeys | None,
    *,
    multipart: bool = False,
    bucket_keys: bool = True,
) -> ObjectSeal:
    """Make a fresh object key for bucket/key, sealed under what `want` names.

    bucket_keys: let objects of a bucket share a data key for some minutes (each still has a key of its own below it).
    Raises NoKeyService and whatever DataKeys raises.
    """
    external = await _fresh_key(want, bucket, key, keys, bucket_keys)

    def make() -> Keys:
        object_key = hierarchy.new_object_key(external.data_key)
        outer = hierarchy.new_object_key(external.data_key) if want.dual else None
        return _seal(object_key, external, want, bucket, key, multipart, outer=outer)

    return ObjectSeal(make, seal_metadata.foresee(want.kind, external.stored, multipart, want.dual))


async def reseal(
    seal: ObjectSeal, want: Encryption, bucket: str, key: str, keys: DataKeys | None, *, bucket_keys: bool = False
) -> ObjectSeal:
    """Seal the same object key anew, under what `want` names: content, ETag, checksums and record tag stay as they are.

    For key rotation. The address must be the object's own, or the record tag would not fit.
    """
    external = await _fresh_key(want, bucket, key, keys, bucket_keys)
    multipart, old = seal.info.multipart, seal.keys
    again = _seal(old.object_key, external, want, bucket, key, multipart, mark=old.demands_tag, outer=old.outer)
    if (tag := old.metadata.get(seal_metadata.RECORD)) is not None:
        again.metadata[seal_metadata.RECORD] = tag
    return ObjectSeal(again, seal_metadata.describe(again.metadata))


async def open_seal(
    metadata: Mapping[str, str], bucket: str, key: str, keys: DataKeys | None, customer_key: Secret | None = None
) -> ObjectSeal:
    """Open the seal of the object that is asked for; one that was copied here from elsewhere stays shut.

    Raises ObjectTampered (no known kind), DamagedMetadata, WrongKey, NoKeyService, and whatever DataKeys raises.
    """
    stored = seal_metadata.read(metadata)
    where = contexts.path(bucket, key)
    under = None
    if stored.info.kind is Kind.C:
        if customer_key is None:
            raise WrongKey("no customer key was given")
        data_key = customer_key
    else:
        under = await _unseal(stored, bucket, where, keys)
        data_key = under.data_key
    try:
        domain = DOMAINS[stored.kind]
        object_key = hierarchy.open_object_key(stored.sealed_key, data_key, stored.iv, domain, where, stored.algorithm)
        outer = None
        if stored.outer:
            outer = hierarchy.open_object_key(stored.outer, data_key, stored.iv, domain, where + _OUTER)
    except Tampered as error:
        raise WrongKey(str(error)) from error
    except Malformed as error:
        raise DamagedMetadata(seal_metadata.BAD_ALGORITHM) from error
    demands_tag = hierarchy.is_marked(stored.iv, data_key)
    return ObjectSeal(Keys(object_key, dict(metadata), demands_tag, outer), stored.info, under)


async def _fresh_key(want: Encryption, bucket: str, key: str, keys: DataKeys | None, bucket_keys: bool) -> _External:
    if want.kind is Kind.C:
        assert want.customer_key is not None
        return _External(want.customer_key)
    if keys is None:
        raise NoKeyService
    shared = bucket_keys and want.bucket_key is not False and not want.context and not want.dual
    kept = {bucket: bucket} if shared and want.kind is Kind.KMS else dict(want.context)
    used = contexts.of_bucket(bucket) if shared else contexts.canonical({bucket: contexts.path(bucket, key)} | kept)
    name = want.key_name if want.kind is Kind.KMS else ""
    made = keys.kept_shared(name, used) if shared else None
    if made is None:
        made = await keys.generate(name, used, shared=shared)
    return _External(made.plaintext, seal_metadata.external_entries(made, kept, shared))


def _seal(
    object_key: Secret,
    external: _External,
    want: Encryption,
    bucket: str,
    key: str,
    multipart: bool,
    mark: bool | None = None,
    outer: Secret | None = None,
) -> Keys:
    if mark is None:  # a customer's multipart upload may be completed without the key that a tag would need
        mark = not (multipart and want.kind is Kind.C)
    iv = hierarchy.marked_iv(external.data_key) if mark else hierarchy.new_iv()
    where = contexts.path(bucket, key)
    sealed = hierarchy.seal_object_key(object_key, external.data_key, iv, DOMAINS[want.kind], where)
    metadata = external.stored | seal_metadata.entries(want.kind, iv, sealed, multipart)
    if outer is not None:
        again = hierarchy.seal_object_key(outer, external.data_key, iv, DOMAINS[want.kind], where + _OUTER)
        metadata[seal_metadata.OUTER] = seal_metadata.encoded(again)
    return Keys(object_key, metadata, mark, outer)


async def _unseal(stored: seal_metadata.Stored, bucket: str, where: str, keys: DataKeys | None) -> Under:
    if keys is None:
        raise NoKeyService
    info = stored.info
    own = contexts.of_bucket(bucket) if info.bucket_key else None
    context = own or contexts.canonical({bucket: where} | dict(info.context))
    try:
        data_key = await keys.unseal(info.key_name, stored.data_key, context)
    except WrongCiphertext:
        raise
    except Tampered as error:
        raise WrongCiphertext(str(error)) from error
    return Under(data_key, info.key_name, stored.data_key, context)
