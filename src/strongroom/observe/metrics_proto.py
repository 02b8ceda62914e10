"""Prometheus' protobuf exposition: each family as a length-delimited io.prometheus.client.MetricFamily (kes.md 1.6).

Source: https://prometheus.io/docs/instrumenting/exposition_formats/ and the message's definition, metrics.proto.
"""

import struct
from collections.abc import Iterable

from strongroom.observe.metrics import Family, Sample
from strongroom.protobuf import FIXED64, VARINT, field, tag, varint

CONTENT_TYPE = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores"
)
_MEDIA = "application/vnd.google.protobuf"
_DEMANDED = {"proto=io.prometheus.client.MetricFamily", "encoding=delimited"}
_KINDS = {"counter": (0, 3), "gauge": (1, 2), "histogram": (4, 7)}  # kind: MetricType, field in Metric


def wanted(accept: str) -> bool:
    """Say whether an Accept header prefers this form to text, which is what everybody else gets."""
    best = {"text": 0.0, "proto": 0.0}
    for item in accept.split(","):
        media, *parameters = (part.strip() for part in item.split(";"))
        quality = _quality(parameters)
        if media == _MEDIA and set(parameters) >= _DEMANDED:
            best["proto"] = max(best["proto"], quality)
        elif media in {"text/plain", "text/*"}:
            best["text"] = max(best["text"], quality)
    return best["proto"] > best["text"]


def _quality(parameters: list[str]) -> float:
    given = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    try:
        return float(given)
    except ValueError:
        return 0.0


def exposition(families: Iterable[Family]) -> bytes:
    """Return the messages; families without a sample are left out."""
    return b"".join(
        varint(len(message)) + message
        for family in sorted(families, key=lambda one: one.name)
        if family.samples
        for message in [_family(family)]
    )


def _family(family: Family) -> bytes:
    number, _ = _KINDS[family.kind]
    head = _text(1, family.name) + _text(2, family.help) + _count(3, number)
    return head + b"".join(field(4, one) for one in _metrics(family))


def _metrics(family: Family) -> list[bytes]:
    _, place = _KINDS[family.kind]
    if family.kind != "histogram":
        return [_labels(one.labels.items()) + field(place, _double(1, one.value)) for one in family.samples]
    groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in family.samples:
        labels = tuple(pair for pair in sample.labels.items() if pair[0] != "le")
        groups.setdefault(labels, []).append(sample)
    return [_labels(labels) + field(place, _histogram(samples)) for labels, samples in groups.items()]


def _histogram(samples: list[Sample]) -> bytes:
    single = {one.suffix: one.value for one in samples if one.suffix != "_bucket"}
    message = _count(1, int(single.get("_count", 0))) + _double(2, single.get("_sum", 0.0))
    for one in samples:
        if one.suffix == "_bucket":
            bound = _double(2, float(one.labels["le"].replace("+Inf", "inf")))
            message += field(3, _count(1, int(one.value)) + bound)
    return message


def _labels(pairs: Iterable[tuple[str, str]]) -> bytes:
    return b"".join(field(1, _text(1, name) + _text(2, value)) for name, value in pairs)


def _text(number: int, text: str) -> bytes:
    return field(number, text.encode())


def _count(number: int, value: int) -> bytes:
    return tag(number, VARINT) + varint(value)


def _double(number: int, value: float) -> bytes:
    return tag(number, FIXED64) + struct.pack("<d", value)
