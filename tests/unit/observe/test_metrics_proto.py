"""Prometheus' protobuf form, read by Google's library."""

from typing import Any

import pytest

from strongroom.observe import metrics_proto
from strongroom.observe.metrics import Family, Histogram, Sample

PROTO = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

# Of metrics.proto: message: (field, number, type or message, repeated).
MESSAGES = {
    "LabelPair": [("name", 1, "string", False), ("value", 2, "string", False)],
    "Gauge": [("value", 1, "double", False)],
    "Counter": [("value", 1, "double", False)],
    "Bucket": [("cumulative_count", 1, "uint64", False), ("upper_bound", 2, "double", False)],
    "Histogram": [
        ("sample_count", 1, "uint64", False),
        ("sample_sum", 2, "double", False),
        ("bucket", 3, "Bucket", True),
    ],
    "Metric": [
        ("label", 1, "LabelPair", True),
        ("gauge", 2, "Gauge", False),
        ("counter", 3, "Counter", False),
        ("histogram", 7, "Histogram", False),
    ],
    "MetricFamily": [
        ("name", 1, "string", False),
        ("help", 2, "string", False),
        ("type", 3, "int32", False),
        ("metric", 4, "Metric", True),
    ],
}


def family_class() -> Any:
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package="p", syntax="proto2")
    kinds = {"string": 9, "double": 1, "uint64": 4, "int32": 5}
    for message, fields in MESSAGES.items():
        made = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            field = made.field.add(name=name, number=number, label=3 if repeated else 1, type=kinds.get(kind, 11))
            if kind not in kinds:
                field.type_name = f".p.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.MetricFamily"))


def read(data: bytes) -> list[Any]:
    kind, found = family_class(), []
    while data:
        size, shift = 0, 0
        while True:
            byte, data = data[0], data[1:]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        found.append(kind.FromString(data[:size]))
        data = data[size:]
    return found


def test_families_are_what_they_were() -> None:
    times = Histogram((0.5, 1))
    for seconds in (0.1, 0.7, 3):
        times.observe(seconds)
    families = [
        Family("up", "gauge", "Seconds.", [Sample(1.5)]),
        Family("requests", "counter", "Requests.", [Sample(300, {"code": "200"}), Sample(2, {"code": "404"})]),
        Family("times", "histogram", "Times.", times.samples()),
        Family("none", "gauge", "Left out.", []),
    ]
    requests, latency, up = read(metrics_proto.exposition(families))
    assert (requests.name, requests.help, requests.type) == ("requests", "Requests.", 0)
    assert [(one.label[0].name, one.label[0].value, one.counter.value) for one in requests.metric] == [
        ("code", "200", 300),
        ("code", "404", 2),
    ]
    assert (up.type, up.metric[0].gauge.value) == (1, 1.5)
    histogram = latency.metric[0].histogram
    assert (latency.type, histogram.sample_count, round(histogram.sample_sum, 6)) == (4, 3, 3.8)
    assert [(one.upper_bound, one.cumulative_count) for one in histogram.bucket] == [
        (0.5, 1),
        (1, 2),
        (float("inf"), 3),
    ]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        (PROTO, True),
        (PROTO + ";q=0.6, application/openmetrics-text;version=1.0.0;q=0.5, text/plain;version=0.0.4;q=0.4", True),
        (PROTO + ";q=0.3, text/plain;q=0.4", False),
        ("application/vnd.google.protobuf", False),
        (PROTO + ";q=x", False),
    ],
)
def test_who_gets_it(accept: str, wanted: bool) -> None:
    assert metrics_proto.wanted(accept) is wanted
