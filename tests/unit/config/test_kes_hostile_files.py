"""Configuration files that hold themselves, unfold without end or are too large: one line says so, at once."""

from pathlib import Path

import pytest

from strongroom.config.kes import MAX_FILE, load, load_store, loads
from strongroom.config.yaml import duration, parse
from strongroom.errors import BadSettings

_ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + place)}: &{chr(98 + place)} [{','.join(['*' + chr(97 + place)] * 9)}]\n" for place in range(12)
)


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}", "a: &a {b: [{c: *a}]}", "a: " + "[" * 40 + "]" * 40])
def test_a_node_that_holds_itself_or_lies_too_deep(text: str) -> None:
    with pytest.raises(BadSettings, match="contains itself"):
        parse(text, {}, "root")


def test_more_depth_than_a_parser_has() -> None:
    with pytest.raises(BadSettings, match="too deep"):
        parse("[" * 5000, {}, "root")


def test_aliases_of_aliases_cost_no_time() -> None:
    assert parse(_ALIASES, {}, "root").node("a") is not None


def test_files_have_a_largest_size(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"#" * (MAX_FILE + 1))
    for read in (load, load_store):
        for file in (tmp_path / "large", Path("/dev/zero")):
            with pytest.raises(BadSettings, match="larger than"):
                read(file)


@pytest.mark.parametrize("text", ["2562048h", "9223372037s", "9" * 400 + "s", "-" + "9" * 400 + "h"])
def test_durations_end_where_those_of_go_do(text: str) -> None:
    assert duration(text) is None
    assert duration("2562047h") == 2562047 * 3600


@pytest.mark.parametrize("name", ["generation-", "mine-disabled-"])
def test_a_predefined_key_is_no_mark_of_a_state(name: str) -> None:
    text = "admin: {identity: a}\ntls: {key: k, cert: c}\nkeystore: {fs: {path: p}}\nkeys: [{name: %s}]\n"
    with pytest.raises(BadSettings, match="ends in '-'"):
        loads(text % name, {})
    assert loads(text % "-x", {}).keys == ("-x",)
