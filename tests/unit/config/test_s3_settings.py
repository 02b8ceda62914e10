"""An S3 server's settings from options and environment."""

import pytest

from strongroom.config.s3 import Options, s3_settings, worker_count
from strongroom.errors import BadSettings

HERE = Options(("/srv/data",))


def settings(options=HERE, **environment):
    return s3_settings(options, environment)


def test_what_stands_where_nothing_is_said():
    found = settings()
    assert (str(found.folder), found.host, found.port) == ("/srv/data", "", 9000)
    assert found.audit == "/srv/data/audit.log"
    assert found.sigv2
    assert not any((found.cut_running_reads, found.spans, found.public_metrics, found.checksum, found.domains))
    assert (found.day_seconds, found.lock_within) == (86400.0, 5.0)


def test_options_stand_over_the_environment():
    environment = {"MINIO_ADDRESS": "127.0.0.1:1", "MINIO_VOLUMES": "/elsewhere"}
    assert settings(Options(), **environment).port == 1
    assert str(settings(Options(), **environment).folder) == "/elsewhere"
    found = settings(Options(("/srv/data",), "[::1]:2", "/certs"), **environment)
    assert (str(found.folder), found.host, found.port, str(found.certs)) == ("/srv/data", "::1", 2, "/certs")


def test_memory_keeps_neither_folder_nor_audit_log():
    found = settings(Options(memory=True))
    assert (found.folder, found.audit) == (None, "")
    assert settings(Options(memory=True), STRONGROOM_S3_AUDIT="-").audit == "-"


def test_lists_and_words():
    found = settings(
        MINIO_DOMAIN="a.example, b.example,",
        STRONGROOM_TRUSTED_PROXIES="10.0.0.1",
        MINIO_REGION="old",
        MINIO_SITE_REGION="new",
        MINIO_PROMETHEUS_AUTH_TYPE="public",
        STRONGROOM_SIGV2="off",
        STRONGROOM_CUT_RUNNING_READS="on",
        STRONGROOM_S3_DEFAULT_CHECKSUM="crc64nvme",
    )
    assert found.domains == ("a.example", "b.example")
    assert (found.trusted_proxies, found.region, found.checksum) == (("10.0.0.1",), "new", "CRC64NVME")
    assert found.public_metrics
    assert not found.sigv2
    assert found.cut_running_reads


@pytest.mark.parametrize(
    ("environment", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_where_a_collector_is_named(environment, asked):
    assert settings(**environment).spans is asked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRONGROOM_SIGV2", "disable"),  # as before it would have been on
        ("STRONGROOM_CUT_RUNNING_READS", "maybe"),
        ("STRONGROOM_S3_DEFAULT_CHECKSUM", "md5"),
        ("STRONGROOM_LOCK_WITHIN_SECONDS", "0"),
        ("STRONGROOM_LOCK_WITHIN_SECONDS", "nan"),
        ("STRONGROOM_LIFECYCLE_DAY_SECONDS", "a day"),
        ("MINIO_ADDRESS", "9000"),
    ],
)
def test_what_cannot_be_is_refused(name, value):
    with pytest.raises(BadSettings, match="--address" if name == "MINIO_ADDRESS" else name):
        settings(**{name: value})


@pytest.mark.parametrize("folders", [(), ("/a", "/b"), ("/a{1...4}",), ("http://host/a",)])
def test_one_folder_of_this_machine(folders):
    with pytest.raises(BadSettings, match="folder"):
        settings(Options(folders))


def test_how_many_workers():
    assert worker_count({}) >= 1
    assert worker_count({"STRONGROOM_S3_WORKERS": "3"}) == 3
    for text in ("0", "257", "two", "-1"):
        with pytest.raises(BadSettings, match="STRONGROOM_S3_WORKERS"):
            worker_count({"STRONGROOM_S3_WORKERS": text})
