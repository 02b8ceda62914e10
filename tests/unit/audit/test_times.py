"""The times of audit lines."""

import pytest

from strongroom.audit.times import microseconds_text, nanoseconds_text

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("at", "nanoseconds", "microseconds"),
    [
        (0, "1970-01-01T00:00:00.000000000Z", "1970-01-01T00:00:00.000000Z"),
        (1_719_410_000 * SECOND + 7, "2024-06-26T13:53:20.000000007Z", "2024-06-26T13:53:20.000000Z"),
        (1_719_410_001 * SECOND - 1, "2024-06-26T13:53:20.999999999Z", "2024-06-26T13:53:20.999999Z"),
    ],
)
def test_every_digit_stands(at, nanoseconds, microseconds):
    assert nanoseconds_text(at) == nanoseconds
    assert microseconds_text(at) == microseconds


def test_seconds_in_any_order():
    texts = [nanoseconds_text(second * SECOND) for second in (61, 60, 61, 3600)]
    assert [text[11:19] for text in texts] == ["00:01:01", "00:01:00", "00:01:01", "01:00:00"]
