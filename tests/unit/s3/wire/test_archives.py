import io
import random
import zipfile

import pytest

from strongroom.errors import Malformed, TooLarge
from strongroom.s3.domain.iam.records import Account, Group, NamedPolicy, User
from strongroom.s3.wire import archives
from strongroom.s3.wire.admin import moment_of


def test_what_is_packed_is_unpacked_and_the_same_entries_make_the_same_bytes():
    members = {"a/b.xml": b"<x/>", "c.json": b"{}" * 1000}
    assert archives.unpack(archives.pack(members)) == members
    assert archives.pack(members) == archives.pack(members)
    with zipfile.ZipFile(io.BytesIO(archives.pack(members))) as archive:
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o600}


def test_sessions_stay_and_empty_members_are_left_out():
    members = archives.iam_members(
        {"p": NamedPolicy(document='{"Statement":[]}')},
        {"u": User(secret="s" * 8, policies=("b", "a")), "w": User(secret="t" * 8, enabled=False)},
        {"g": Group(members=("u",))},
        {"k": Account(secret="x" * 8, parent="u", expires=1893456000), "s": Account(secret="y", parent="u", token="t")},
    )
    found = archives.iam_documents(members)
    assert found["policies"] == {"p": {"Statement": []}}
    assert found["users"]["w"] == {"secretKey": "t" * 8, "status": "disabled"}
    assert found["user_mappings"] == {"u": {"version": 1, "policy": "b,a", "updatedAt": ""}}
    assert found["group_mappings"] == {}
    assert found["svcaccts"] == {
        "k": {"parent": "u", "secretKey": "x" * 8, "status": "on", "expiration": "2030-01-01T00:00:00Z"}
    }


def test_what_is_large_is_refused_before_it_is_unpacked():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(archives.LIMIT + 1))
    assert len(out.getvalue()) < 100_000
    with pytest.raises(TooLarge):
        archives.unpack(out.getvalue())


def test_damaged_archives_are_malformed_or_still_whole():
    good = archives.pack({f"iam-assets/{stem}.json": b'{"a":{"b":"c"}}' for stem in archives.STEMS})
    chance = random.Random(7)
    for _ in range(400):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            archives.iam_documents(
                archives.unpack(bytes(data[: chance.choice((len(data), chance.randrange(len(data))))]))
            )
        except (Malformed, TooLarge):
            continue


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2030-01-01T00:00:00Z", 1893456000),
        ("2030-01-01T01:00:00+01:00", 1893456000),
        ("2030-01-01T00:00:00.5Z", 1893456000.5),
        ("2030-01-01T00:00:00", None),
        ("2030-01-01", None),
        ("soon", None),
    ],
)
def test_times_of_expiry(text, seconds):
    assert moment_of(text) == seconds
