"""The sealed stream: DARE 2.0, and 1.0 for reading. Format: docs/formats/dare.md (sse.md 2).

A stream is a row of packages of 64 KiB, each sealed on its own, so that a range can be opened without the rest.
"""

from strongroom.crypto.dare.headers import VERSION_2
from strongroom.crypto.dare.opener import StreamOpener, open_small
from strongroom.crypto.dare.sealer import StreamSealer, seal_small
from strongroom.crypto.dare.sizes import (
    HEADER_SIZE,
    MAX_SIZE,
    OVERHEAD,
    PACKAGE_SIZE,
    SEALED_PACKAGE,
    PartSpan,
    Span,
    package_count,
    package_span,
    part_spans,
    plain_size,
    sealed_size,
)

__all__ = [
    "HEADER_SIZE",
    "MAX_SIZE",
    "OVERHEAD",
    "PACKAGE_SIZE",
    "SEALED_PACKAGE",
    "VERSION_2",
    "PartSpan",
    "Span",
    "StreamOpener",
    "StreamSealer",
    "open_small",
    "package_count",
    "package_span",
    "part_spans",
    "plain_size",
    "seal_small",
    "sealed_size",
]
