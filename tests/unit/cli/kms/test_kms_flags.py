import pytest

from strongroom.cli.kms.command import Command
from strongroom.cli.kms.faults import Fault
from strongroom.cli.kms.flags import Flag, Kind, parse

FLAGS = (
    Flag("format", "f"),
    Flag("force", "f", Kind.SWITCH, ("f",)),
    Flag("shares", "n", Kind.NUMBER, ("n",)),
    Flag("ttl", "t", Kind.SPAN),
    Flag("versions", "v", Kind.LIST),
    Flag("policy", "p", Kind.WORDS),
    Flag("metadata", "m", Kind.PAIRS),
    Flag("renewable", "r", Kind.SWITCH, default=True),
)


def test_one_dash_two_dashes_and_both_value_forms() -> None:
    parsed = parse(["-format=json", "--shares", "3", "-f", "path", "a=b"], FLAGS)
    assert parsed.values["format"] == "json"
    assert parsed.values["shares"] == 3
    assert parsed.values["force"] is True
    assert parsed.arguments == ["path", "a=b"]
    assert parsed.given == {"format", "shares", "force"}


def test_flags_end_at_the_first_argument_or_at_two_dashes() -> None:
    assert parse(["path", "-format=json"], FLAGS).arguments == ["path", "-format=json"]
    assert parse(["-f", "--", "-x"], FLAGS).arguments == ["-x"]
    assert parse(["-f", "-"], FLAGS).arguments == ["-"]


def test_repeated_flags_collect() -> None:
    parsed = parse(
        ["-versions=1,2", "-versions", "3", "-policy=a,b", "-policy=c", "-metadata=k=v=w", "-metadata=x="], FLAGS
    )
    assert parsed.values["versions"] == ("1", "2", "3")
    assert parsed.values["policy"] == ("a,b", "c")
    assert parsed.values["metadata"] == {"k": "v=w", "x": ""}


def test_defaults_are_there_and_can_be_switched_off() -> None:
    assert parse([], FLAGS).values["renewable"] is True
    assert parse(["-renewable=false"], FLAGS).values["renewable"] is False
    assert parse([], FLAGS).values["metadata"] is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-badflag"], "flag provided but not defined: -badflag"),
        (["-format"], "flag needs an argument: -format"),
        (["-force=maybe"], 'invalid boolean value "maybe" for flag -force: parse error'),
        (["-n=x"], 'invalid value "x" for flag -n: parse error'),
        (["-ttl=zz"], 'invalid value "zz" for flag -ttl: time: invalid duration "zz"'),
        (["-metadata=zz"], 'invalid value "zz" for flag -metadata: missing = in KV pair: "zz"'),
    ],
)
def test_bad_flags_name_what_is_wrong(words: list[str], text: str) -> None:
    with pytest.raises(Fault) as caught:
        parse(words, FLAGS)
    assert caught.value.text == text
    assert caught.value.code == 1


@pytest.mark.parametrize(
    ("arguments", "given", "text"),
    [
        ((0, 0), 1, "Too many arguments (expected 0, got 1)"),
        ((1, None), 0, "Not enough arguments (expected 1, got 0)"),
        ((1, 2), 3, "Too many arguments (expected 1-2, got 3)"),
        ((2, 2), 1, "Not enough arguments (expected 2, got 1)"),
    ],
)
def test_argument_counts(arguments: tuple[int, int | None], given: int, text: str) -> None:
    command = Command(lambda call: 0, "", "", "", arguments)
    with pytest.raises(Fault) as caught:
        command.check_count(["x"] * given)
    assert caught.value.text == text
