"""Requests become spans for OpenTelemetry: in memory, and to a collector that is asked for by its variable."""

import http.server
import threading

import pytest
from s3_process import S3Process
from system.test_s3_boto3 import KMS, ROOT, Served

from strongroom.errors import BadSettings
from strongroom.s3 import app, spans

memory = pytest.importorskip(
    "opentelemetry.sdk.trace.export.in_memory_span_exporter", reason="pip install strongroom[otel]"
)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_every_request_is_a_span_below_its_callers(tmp_path):
    served = Served(app.Settings(ROOT, tmp_path / "data", "127.0.0.1", 0, kms=KMS))
    exporter = memory.InMemorySpanExporter()
    try:
        served.running.telemetry.spans = spans.Spans(exporter)
        s3 = served.client()
        s3.meta.events.register(
            "before-sign.s3", lambda request, **_: request.headers.add_header("traceparent", PARENT)
        )
        s3.create_bucket(Bucket="traced")
        s3.put_object(Bucket="traced", Key="k", Body=b"x", ServerSideEncryption="aws:kms")
        with pytest.raises(s3.exceptions.NoSuchKey):
            s3.get_object(Bucket="traced", Key="none")
    finally:
        served.stop()
    made, put, got = exporter.get_finished_spans()
    assert (made.name, put.name, got.name) == ("s3.CreateBucket", "s3.PutObject", "s3.GetObject")
    assert put.attributes["aws.s3.key"] == "k"
    assert put.attributes["strongroom.encryption"] == "aws:kms"
    assert put.attributes["strongroom.key"] == "my-key"
    assert got.attributes["http.response.status_code"] == 404
    assert {f"{one.parent.trace_id:032x}" for one in (made, put, got)} == {PARENT[3:35]}
    assert 0 < put.end_time - put.start_time < 10**10


def test_a_collector_gets_them(tmp_path):
    got = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_COMPRESSION": "none"}
    server = S3Process(tmp_path / "data", STRONGROOM_S3_WORKERS="1", **more).start()
    try:
        server.client().create_bucket(Bucket="traced")
    finally:
        server.stop()
        collector.shutdown()
    assert {path for path, _ in got} == {"/v1/traces"}
    assert b"s3.CreateBucket" in b"".join(body for _, body in got)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(BadSettings, match=r"strongroom\[otel\]"):
        spans.Spans()
