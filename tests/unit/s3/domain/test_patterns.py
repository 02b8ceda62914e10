"""Wildcards: right on small alphabets, and quick on what is made to be slow."""

import fnmatch
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.s3.domain.policy.conditions import Condition
from strongroom.s3.domain.policy.patterns import matches, substitute

SLOW = "from strongroom.s3.domain.policy.patterns import matches; print(matches('*a' * 20 + 'b', 'a' * 1000))"


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_means_what_the_shells_does(pattern, text):
    wanted = re.compile(fnmatch.translate(pattern)).fullmatch(text) is not None
    assert matches(pattern, text) is wanted


def test_many_wildcards_take_no_time():
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("b/${*}", "b/*", True),
        ("b/${*}", "b/anything", False),
        ("b/${?}${$}", "b/?$", True),
        ("b/${?}", "b/x", False),
        ("b/${aws:username}/*", "b/a*/x", True),
        ("b/${aws:username}/*", "b/ab/x", False),
        ("b/*${aws:username}", "b/x/a*", True),
    ],
)
def test_characters_that_stand_for_themselves(pattern, text, wanted):
    assert matches(substitute(pattern, {"aws:username": ("a*",)}), text) is wanted


def test_a_plain_comparison_sees_them_as_well():
    condition = Condition("StringEquals", "s3:prefix", ("${aws:username}${?}",))
    assert condition.holds({"s3:prefix": ("a*?",), "aws:username": ("a*",)})
