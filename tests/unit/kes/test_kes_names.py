"""Names and patterns (kes.md 1.3, 12)."""

import pytest

from strongroom.kes.domain.names import valid_name, valid_pattern

GOOD = ["my-key", "abc123", "0", "123ABC321", "_-___---_", "_0", "0-Z", "my_key-0", "a" * 80, "__"]
BAD = ["my.key", "key/", "☰", "hel<lo", "Εmacs", "a" * 81, "_", "-a", "a-", "-", "a b", "a\n"]


@pytest.mark.parametrize("name", GOOD)
def test_good_names(name: str) -> None:
    assert valid_name(name)
    assert valid_pattern(name)


@pytest.mark.parametrize("name", ["", *BAD])
def test_bad_names(name: str) -> None:
    assert not valid_name(name)


@pytest.mark.parametrize("pattern", ["", "*", "my*", "_-*", "a" * 79 + "*"])
def test_good_patterns(pattern: str) -> None:
    assert valid_pattern(pattern)


@pytest.mark.parametrize("pattern", [*BAD, "*-*", "**", "-*", "a" * 80 + "*", "my*key"])
def test_bad_patterns(pattern: str) -> None:
    assert not valid_pattern(pattern)
