import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.context import canonical, path


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, b"{}"),
        ({"bucket": "bucket/object"}, b'{"bucket":"bucket/object"}'),
        ({"b": "2", "a": "1", "B": ""}, b'{"B":"","a":"1","b":"2"}'),
        ({"k": '<a href="x">&\\'}, b'{"k":"\\u003ca href=\\"x\\"\\u003e\\u0026\\\\"}'),
        ({"k": "\n\r\t\b\f\x00\x1f\x7f"}, b'{"k":"\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\x7f"}'),
        ({"k": "\u2028\u2029ü€😀"}, '{"k":"\\u2028\\u2029ü€😀"}'.encode()),
        ({"k": "a\udcffb"}, b'{"k":"a\\ufffdb"}'),
        ({"\uffff": "", "\U00010000": ""}, '{"\uffff":"","\U00010000":""}'.encode()),
    ],
)
def test_canonical(context, expected):
    assert canonical(context) == expected


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_canonical_is_json_in_byte_order(context):
    encoded = canonical(context)
    assert json.loads(encoded) == context
    assert list(json.loads(encoded)) == sorted(context, key=str.encode)


@pytest.mark.parametrize(
    ("bucket", "name", "expected"),
    [
        ("b", "o", "b/o"),
        ("b", "a/b/c.txt", "b/a/b/c.txt"),
        ("b", "a//b", "b/a/b"),
        ("b", "a/", "b/a"),
        ("b", "/a", "b/a"),
        ("b", "", "b"),
        ("b", "./a/./b/.", "b/a/b"),
        ("b", "a/../c", "b/c"),
        ("b", "a/..", "b"),
        ("b", "../../c", "../c"),
        ("b", "..a/.b", "b/..a/.b"),
    ],
)
def test_path(bucket, name, expected):
    assert path(bucket, name) == expected
