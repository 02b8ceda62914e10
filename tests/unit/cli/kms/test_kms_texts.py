import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.cli.kms import durations, paragraphs, table
from strongroom.cli.kms.hclformat import BadHcl, format_hcl
from strongroom.cli.kms.jsontext import Number, dumps, loads
from strongroom.cli.kms.secret import secret_of
from strongroom.cli.kms.yamltext import dumps_yaml


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0", "0s"), ("90", "1m30s"), ("5m", "5m0s"), ("1h30m", "1h30m0s"), ("1.5s", "1.5s"), ("500ms", "500ms"),
        ("30d", "720h0m0s"), ("-3s", "-3s"), ("2us", "2µs"), ("7ns", "7ns"), (".5h", "30m0s"),
    ],
)  # fmt: skip
def test_durations_read_and_write_as_go(text: str, written: str) -> None:
    assert durations.write(durations.parse(text)) == written


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("zz", 'time: invalid duration "zz"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("1h3", 'time: missing unit in duration "1h3"'),
        ("", 'time: invalid duration ""'),
    ],
)
def test_bad_durations(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="time:") as caught:
        durations.parse(text)
    assert str(caught.value) == said


@given(st.integers(-(10**17), 10**17))
def test_every_duration_reads_back(nanoseconds: int) -> None:
    assert durations.parse(durations.write(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (60, "1m"), (3600, "1h"), (604800, "168h"), (90061, "25h1m1s"), (5400, "1h30m")]
)
def test_tables_show_short_durations(seconds: int, text: str) -> None:
    assert durations.human(seconds) == text


def test_json_keeps_numbers_as_written() -> None:
    text = '{"a":1.10,"b":1e3,"c":12345678901234567890,"d":[true,null,"<&>"]}'
    assert dumps(loads(text)) == text.replace("<&>", "\\u003c\\u0026\\u003e")


def test_json_indents_and_leaves_empty_blocks_on_one_line() -> None:
    assert dumps({"a": [], "b": {}, "c": [1]}, indent="  ") == '{\n  "a": [],\n  "b": {},\n  "c": [\n    1\n  ]\n}'


def test_json_refuses_what_is_no_json() -> None:
    for text in ('{"a":NaN}', "[1] x", ""):
        with pytest.raises(ValueError, match=r".*"):
            loads(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"n": Number("5"), "y": "1"}, '"n": 5\n"y": "1"\n'),
        ({"f": Number("1.10"), "e": Number("1e3")}, "e: 1000\nf: 1.1\n"),
        ({"a": "", "b": " x ", "c": "a: b", "d": "plain"}, "a: \"\"\nb: ' x '\nc: 'a: b'\nd: plain\n"),
        ({"t": "2026-11-24T22:56:42Z", "v": "2.7.2"}, 't: "2026-11-24T22:56:42Z"\nv: 2.7.2\n'),
        ({"l": ["a", {"x": [Number("1")]}], "m": {}}, "l:\n- a\n- x:\n  - 1\nm: {}\n"),
        ({"nl": "a\nb", "end": "a\nb\n"}, "end: |\n  a\n  b\nnl: |-\n  a\n  b\n"),
        (["a", "b"], "- a\n- b\n"),
        ("é∞", "é∞\n"),
    ],
)
def test_yaml_looks_as_the_reference_prints_it(value: object, text: str) -> None:
    assert dumps_yaml(value) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=10,
    )
)
def test_yaml_reads_back(value: object) -> None:
    from ruamel.yaml import YAML

    assert YAML(typ="safe", pure=True).load(dumps_yaml(value)) == value


def test_columns_leave_the_last_cell_unpadded_and_mark_empty_ones() -> None:
    assert table.columns([("a", "bb"), ("ccc", "")]) == "a      bb\nccc    n/a\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "<nil>"), (True, "true"), ({"b": [1, None], "a": "x"}, "map[a:x b:[1 <nil>]]"), ([], "[]"), ("", "")],
)
def test_values_as_go_prints_them(value: object, text: str) -> None:
    assert table.text(value) == text


@pytest.mark.parametrize(
    ("title", "width", "line"),
    [
        ("Secret Path", 14, "= Secret Path ="), ("Secret Path", 13, "== Secret Path =="), ("Data", 10, "== Data =="),
        ("Metadata", 24, "======= Metadata ======="), ("Version 1", 22, "====== Version 1 ======"),
    ],
)  # fmt: skip
def test_titles(title: str, width: int, line: str) -> None:
    assert table.titled(title, width) == line + "\n"


def test_warnings_break_into_even_lines() -> None:
    text = (
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
        "If using the OpenBao CLI, use 'bao kv list' for this operation."
    )
    assert paragraphs.warning("OpenBao", (text,)) == (
        "WARNING! The following warnings were returned from OpenBao:\n\n"
        "  * Invalid path for a versioned K/V secrets engine. See the API docs for\n"
        "  the appropriate API endpoints to use. If using the OpenBao CLI, use 'bao kv\n"
        "  list' for this operation.\n\n"
    )


def test_an_answer_without_an_envelope_is_its_own_data() -> None:
    secret = secret_of(b'{"initialized":true}')
    assert secret is not None
    assert secret.data == {"initialized": True}
    assert secret_of(b"") is None
    assert secret_of(b"not json") is None


def test_secrets_hide_their_contents() -> None:
    secret = secret_of(b'{"data":{"password":"hunter2"},"auth":{"client_token":"hvs.x"}}')
    assert "hunter2" not in repr(secret)
    assert "hvs.x" not in repr(secret)


POLICY = """# c1



path    "a"    {


  capabilities=["read",
"list"]
     policy  = "read" # hi
  allowed_parameters = {
"a"=[]
    "long" = ["x","y"]
}
// cc
}
path "b" { capabilities = [ "read", ] }
path "c" { }
"""
FORMATTED = """# c1

path "a" {
  capabilities = [
    "read",
    "list",
  ]

  policy = "read" # hi

  allowed_parameters = {
    "a"    = []
    "long" = ["x", "y"]
  }

  // cc
}

path "b" {
  capabilities = ["read"]
}

path "c" {}
"""


def test_hcl_is_laid_out_as_the_reference_does() -> None:
    assert format_hcl(POLICY) == FORMATTED
    assert format_hcl(FORMATTED) == FORMATTED


@pytest.mark.parametrize("text", ['path "a" {', 'path "a" { capabilities = }', "]", 'path "a"', "a = 'x'"])
def test_broken_hcl_is_refused(text: str) -> None:
    with pytest.raises(BadHcl):
        format_hcl(text)


@given(st.text(alphabet=' \n"{}[]=,#ab', max_size=40))
def test_any_text_is_formatted_or_refused(text: str) -> None:
    try:
        once = format_hcl(text)
    except BadHcl:
        return
    assert format_hcl(once) == once
