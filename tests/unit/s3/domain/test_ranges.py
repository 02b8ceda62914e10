"""Conditions of reads, apart from what the vectors and clients ask."""

import time

import pytest

from strongroom.s3.domain import ranges

MODIFIED = 1_445_412_480  # Wed, 21 Oct 2015 07:28:00 UTC


@pytest.mark.parametrize(
    "date", ["Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 -0000", "Wed, 21 Oct 2015 07:28:00"]
)
def test_a_date_without_a_zone_is_utc_wherever_the_server_is(date, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert ranges.not_modified({"if-modified-since": date}, "e", MODIFIED * 1_000_000_000)
        assert not ranges.not_modified({"if-modified-since": date}, "e", (MODIFIED + 1) * 1_000_000_000)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("header", "counts"),
    [
        (None, True),
        ('"e"', True),
        ('"other"', False),
        ('W/"e"', False),
        ("Wed, 21 Oct 2015 07:28:00 GMT", True),
        ("Wed, 21 Oct 2015 07:28:01 GMT", False),
        ("Wed, 21 Oct 2015 07:27:59 GMT", False),
        ("e", False),
        ("", False),
    ],
)
def test_a_range_counts_only_for_the_object_that_if_range_names(header, counts):
    assert ranges.still(header, "e", MODIFIED * 1_000_000_000 + 5) is counts
