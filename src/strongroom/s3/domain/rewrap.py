"""What a rewrap job wants: which objects, and under which key their keys are sealed anew (sse.md 15).

Content is never touched. Format of the stored order and progress: docs/formats/jobs.md.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from strongroom.s3.domain.encryption import Encryption, Kind
from strongroom.s3.domain.seal_metadata import SealInfo


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which versions a job is about; every condition that is there must hold. Times: seconds since the epoch.

    tags, metadata  pairs of name and pattern (`*`, `?`); one of the pairs must match
    key             pattern of the key's name that the object is under now
    """

    newer_than: float | None = None  # seconds of age at most
    older_than: float | None = None  # seconds of age at least
    after: float | None = None
    before: float | None = None
    tags: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    key: str = ""


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job as it was asked for.

    kind      AES256 or aws:kms: what objects are under afterwards
    key_name  aws:kms only; "" is the default key
    context   replaces an object's own context when it is not empty
    """

    bucket: str
    kind: str
    prefix: str = ""
    key_name: str = ""
    context: dict[str, str] = {}
    filter: Filter = Filter()
    attempts: int = 3
    delay: float = 0.025  # seconds between attempts
    notify: str = ""  # URL
    token: str = ""  # secret: sent to notify as Authorization
    plain: bool = False  # encrypt plain objects where they lie, instead of sealing keys anew
    per_second: float = 0.0  # versions at most; 0: as fast as it goes


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at of a version. modified: seconds since the epoch."""

    modified: float
    info: SealInfo
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)  # headers and user metadata, names in lower case


def concerns(order: Order, subject: Subject, now: float) -> bool:
    """Say whether a job is about a version. One under a customer's key never is, a plain one if `plain` says so."""
    info = subject.info
    if info.encrypted if order.plain else info.kind not in (Kind.S3, Kind.KMS):
        return False
    wanted, age = order.filter, now - subject.modified
    times = (
        wanted.newer_than is None or age <= wanted.newer_than,
        wanted.older_than is None or age >= wanted.older_than,
        wanted.after is None or subject.modified > wanted.after,
        wanted.before is None or subject.modified < wanted.before,
    )
    return (
        all(times)
        and _any(wanted.tags, subject.tags)
        and _any(tuple((name.lower(), value) for name, value in wanted.metadata), subject.metadata)
        and (not wanted.key or fnmatch.fnmatchcase(subject.info.key_name, wanted.key))
    )


def _any(patterns: tuple[tuple[str, str], ...], found: Mapping[str, str]) -> bool:
    if not patterns:
        return True
    return any(name in found and fnmatch.fnmatchcase(found[name], pattern) for name, pattern in patterns)


def target(order: Order, info: SealInfo) -> Encryption | None:
    """Return what a version's key is to be sealed under; None when that cannot be.

    An SSE-KMS object does not become SSE-S3: its ETag is no MD5, and clients check those of SSE-S3 objects.
    """
    if order.kind == Kind.S3:
        return Encryption(Kind.S3) if info.kind is not Kind.KMS else None
    return Encryption(Kind.KMS, order.key_name, order.context or dict(info.context), dual=info.dual)


class Progress(msgspec.Struct):
    """How far a job is. Times: seconds since the epoch."""

    id: str
    user: str
    started: float
    updated: float = 0.0
    last: str = ""  # the last key of which every version was looked at
    objects: int = 0  # versions sealed anew
    failed: int = 0
    complete: bool = False
    cancelled: bool = False
    error: str = ""


class Job(msgspec.Struct):
    """A job as it is stored."""

    order: Order
    progress: Progress
    version: int = 1
