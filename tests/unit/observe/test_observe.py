"""Metrics text and log lines."""

import io

import pytest

from strongroom.observe.log import ERROR, INFO, OFF, Log, level_name, quoted
from strongroom.observe.metrics import Family, Histogram, Sample, exposition, number


def test_exposition() -> None:
    histogram = Histogram((0.1, 1))
    for seconds in (0.05, 0.5, 5):
        histogram.observe(seconds)
    text = exposition(
        [
            Family("b", "counter", "Of b.", [Sample(3, {"code": '2"\\\n'})]),
            Family("a", "histogram", "Of a.", histogram.samples()),
            Family("none", "gauge", "Never.", []),
        ]
    ).decode()
    assert text.splitlines() == [
        "# HELP a Of a.",
        "# TYPE a histogram",
        'a_bucket{le="0.1"} 1',
        'a_bucket{le="1"} 2',
        'a_bucket{le="+Inf"} 3',
        "a_sum 5.55",
        "a_count 3",
        "# HELP b Of b.",
        "# TYPE b counter",
        'b{code="2\\"\\\\\\n"} 3',
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1.5, "1.5"), (999999, "999999"), (1000000, "1e+06"), (58449920, "5.844992e+07")]
)
def test_numbers_are_written_as_go_writes_them(value: float, text: str) -> None:
    assert number(value) == text


def test_log_lines() -> None:
    out = io.StringIO()
    log = Log(INFO, out)
    heard: list[str] = []
    log.subscribe(heard.append)
    log.debug("not shown")
    log.error('said "no"', req__path="/a b", code=7)
    line = out.getvalue().strip()
    assert line.endswith(r'level=ERROR msg="said \"no\"" req.path="/a b" code=7')
    assert heard == [line]
    assert log.counts == {"ERROR": 1}
    log.level = OFF
    log.error("not shown")
    assert out.getvalue().count("\n") == 1


def test_nothing_breaks_a_line() -> None:
    assert quoted("a\nb\x00") == '"a\\nb\\x00"'
    assert quoted("plain") == "plain"
    assert level_name(ERROR + 1) == "ERROR+1"


def test_a_closed_stream_is_no_reason_to_fail() -> None:
    out = io.StringIO()
    out.close()
    log = Log(INFO, out)
    log.error("x")
    assert log.counts["lost"] == 1
