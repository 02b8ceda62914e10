"""Policies (kes.md 3, 12)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import BadSettings, Denied
from strongroom.kes.domain.policy import Policies, Policy, check_glob, glob_matches, prefix_matches

MATCHES = [
    ("", "", False),
    ("", "/x", False),
    ("/v1/key/create/my-key", "/v1/key/create/my-key", True),
    ("/v1/key/create/my-key", "/v1/key/create/my-key1", False),
    ("/v1/key/create/my*", "/v1/key/create/my-key", True),
    ("/v1/key/*", "/v1/key/create/a/b", True),
    ("*", "/anything", True),
    ("/v1/key/*/x", "/v1/key/create/x", False),
    ("/v1/key/*/x", "/v1/key/*/x", True),
    ("/v1/key/list/*", "/v1/key/list/", True),
    ("/v1/key/[ab]", "/v1/key/a", False),
]
GLOBS = [
    ("/v1/key/create/minio-*", "/v1/key/create/minio-key-1", True),
    ("/v1/key/create/minio-*", "/v1/key/create/my-key", False),
    ("/v1/key/*", "/v1/key/create/a", False),
    ("/v1/key/*/x", "/v1/key/create/x", True),
    ("/v1/?", "/v1/a", True),
    ("/v1/?", "/v1//", False),
    ("/v1/[a-c]1", "/v1/b1", True),
    ("/v1/[^a-c]1", "/v1/b1", False),
    ("/v1/[^a-c]1", "/v1/d1", True),
    ("/v1/[^a]1", "/v1//1", False),
    (r"/v1/\*", "/v1/*", True),
    (r"/v1/\*", "/v1/a", False),
    ("/v1/a.c", "/v1/abc", False),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), MATCHES)
def test_prefixes(pattern: str, path: str, expected: bool) -> None:
    assert prefix_matches(pattern, path) is expected


@pytest.mark.parametrize(("pattern", "path", "expected"), GLOBS)
def test_globs(pattern: str, path: str, expected: bool) -> None:
    assert glob_matches(pattern, path) is expected


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_glob_either_matches_or_is_malformed(pattern: str, path: str) -> None:
    try:
        check_glob(pattern)
    except BadSettings:
        return
    assert glob_matches(pattern, path) in {True, False}


@pytest.mark.parametrize("pattern", ["[", "[a", "a\\", "x[]"])
def test_malformed_globs(pattern: str) -> None:
    with pytest.raises(BadSettings):
        check_glob(pattern)


def test_deny_wins_and_nothing_is_allowed_by_default() -> None:
    policy = Policy("p", ("/v1/key/create/my*",), ("/v1/key/create/my-key*",), ("id",))
    assert policy.allows("/v1/key/create/my-minio-key")
    assert not policy.allows("/v1/key/create/my-key")
    assert not policy.allows("/v1/key/create/my-key1")
    assert not policy.allows("/v1/status")
    assert not Policy("empty").allows("/v1/status")


def test_admin_passes_everything_and_nobody_is_admin_by_accident() -> None:
    policies = Policies.of("disabled", [Policy("p", ("/a",), (), ("id",))])
    policies.check("disabled", "/anything")  # no certificate can have that identity
    policies.check("id", "/a")
    for identity, path in (("id", "/b"), ("other", "/a"), ("", "/a")):
        with pytest.raises(Denied):
            policies.check(identity, path)
    with pytest.raises(Denied):
        Policies.of("", []).check("", "/a")


def test_a_range_that_ends_before_it_begins_matches_nothing() -> None:
    for path in ("/a/a", "/a/b", "/a/c", "/a/-"):
        assert not glob_matches("/a/[c-a]", path)
