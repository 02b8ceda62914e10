"""Formats, aliases, encryption flags, attributes, the bar, comparing folders: mc's pure parts."""

import io
import json
import threading
from datetime import UTC, datetime

import pytest

from strongroom.cli.mc import formats
from strongroom.cli.mc.aliases import Alias, Store, check_keys, check_name, check_url, from_variable
from strongroom.cli.mc.anonymous import permission_of, permissions, with_permission
from strongroom.cli.mc.cmd_diff import FIRST, NEWER, SAME, SECOND, SIZE, compare
from strongroom.cli.mc.cmd_stat import encryption_line
from strongroom.cli.mc.console import Console, dumps, sentence
from strongroom.cli.mc.encryption import Encryption, Rule, encryption
from strongroom.cli.mc.failures import Failed, Fatal
from strongroom.cli.mc.flags import parse
from strongroom.cli.mc.listing import Entry, age_test
from strongroom.cli.mc.metadata import attributes, content_type, tags_header, validity_days
from strongroom.cli.mc.progress import Progress, bar, caption
from strongroom.cli.mc.table import ROOT
from strongroom.sdk.crew import Crew, each

# ---- formats ----


@pytest.mark.parametrize(("count", "text"), [
    (0, "0 B"), (5, "5 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (12 * 1024, "12 KiB"),
    (16777217, "16 MiB"), (4096, "4.0 KiB"),
])  # fmt: skip
def test_sizes(count, text):
    assert formats.size(count) == text


def test_amounts():
    assert [formats.amount(count) for count in (5, 1024, 16777217)] == ["5 B", "1.00 KiB", "16.00 MiB"]


@pytest.mark.parametrize(
    ("text", "count"), [("10", 10), ("1MiB", 1 << 20), ("1MB", 10**6), ("1.5k", 1500), ("2GiB", 2 << 30)]
)
def test_sizes_are_read(text, count):
    assert formats.parse_size(text) == count
    with pytest.raises(ValueError, match="not a size"):
        formats.parse_size("many")


def test_durations():
    assert formats.parse_duration("1d2h3m") == 86400 + 7200 + 180
    assert formats.parse_duration("168h") == 604800
    with pytest.raises(ValueError, match="not a duration"):
        formats.parse_duration("1x")
    assert formats.took(3723) == "1h02m03s"
    assert formats.took(90061) == "1d1h01m01s"
    assert formats.go_duration(0.005123456) == "5.123456ms"
    assert formats.go_duration(63.5) == "1m3.5s"
    assert formats.long_duration(604800) == "7 days 0 hours 0 minutes 0 seconds"
    assert formats.long_duration(5400) == "1 hours 30 minutes 0 seconds"


def test_times():
    when = formats.moment("2026-01-02T03:04:05.678Z")
    assert when == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert formats.moment("Fri, 02 Jan 2026 03:04:05 GMT") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert formats.moment("nonsense").year == 1970
    assert formats.rfc3339(when) == "2026-01-02T03:04:05.678Z"


def test_tables_are_as_wide_as_what_is_in_them():
    assert formats.table([("A", "B"), ("ü漢", "")]).splitlines()[1:3] == ["│ A   │ B │", "│ ü漢 │   │"]


# ---- failures ----


def test_sentences():
    assert sentence("Unable.", "Why") == "Unable. Why."
    assert sentence("Unable", "Why.") == "Unable. Why."
    assert sentence("Unable", "why") == "Unable: why."
    assert sentence("Unable", "") == "Unable "


def test_json_is_written_as_go_writes_it():
    assert dumps({"a": "<&>", "ü": 1}) == '{"a":"\\u003c\\u0026\\u003e","ü":1}'


# ---- aliases ----


def test_a_fresh_folder(tmp_path):
    store = Store(tmp_path / "mc", {})
    store.prepare()
    record = json.loads(store.file.read_text())
    assert record["version"] == "10"
    assert sorted(record["aliases"]) == ["gcs", "local", "play", "s3"]
    assert (store.file.stat().st_mode & 0o777, store.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert len(store.news) == 4
    again = Store(tmp_path / "mc", {})
    again.prepare()
    assert again.news == []


def test_the_environment_wins(tmp_path):
    extra = tmp_path / "env"
    extra.write_text("MC_HOST_one=http://a:bbbbbbbb@one\ntwo=http://two\n")
    store = Store(tmp_path / "mc", {"MC_HOST_one": "http://k:s/+@x@h:1", "MC_CONFIG_ENV_FILE": str(extra)})
    store.prepare()
    store.put(Alias("one", "http://file"))
    assert store.find("one") == Alias("one", "http://h:1", "k", "s/+@x", "", "S3v4", "auto", "env")
    assert store.find("two").access_key == ""
    assert store.find("none") is None
    assert [alias.name for alias in store.all()] == ["gcs", "local", "one", "play", "s3", "two"]


def test_variables_with_tokens():
    found = from_variable("x", "https://AK:SK:to@ken@host")
    assert (found.access_key, found.secret_key, found.token, found.url) == ("AK", "SK", "to@ken", "https://host")
    for bad in ("http://a:b@h/path", "ftp://h", "http://"):
        with pytest.raises(Failed):
            from_variable("x", bad)


def test_older_versions_of_the_file_are_read(tmp_path):
    hosts = {"a": {"url": "http://h", "accessKey": "k", "secretKey": "s", "api": "S3v4", "lookup": "dns"}}
    (tmp_path / "config.json").write_text(json.dumps({"version": "9", "hosts": hosts}))
    assert Store(tmp_path, {}).find("a").path == "dns"
    (tmp_path / "config.json").write_text(json.dumps({"version": "11", "aliases": {}}))
    with pytest.raises(Fatal) as caught:
        Store(tmp_path, {}).find("a")
    assert "`11`" in caught.value.cause.text
    assert "`10`" in caught.value.cause.text


def test_what_no_alias_may_be():
    for name in ("1a", "", "a b", "-"):
        with pytest.raises(Fatal):
            check_name(name)
    for url in ("h:1", "http://h/p", "http://h?q"):
        with pytest.raises(Fatal):
            check_url(url)
    assert check_url("http://h:9000/") == "http://h:9000"
    for keys in (("ab", "longsecret"), ("abc", "short")):
        with pytest.raises(Fatal):
            check_keys(*keys)


def test_secrets_are_not_in_reprs():
    assert "hidden" not in repr(Alias("a", "u", "k", "hidden", "hidden-token"))
    assert "6b6b" not in repr(Rule("a/b", "enc-c", secret=b"kk" * 16))


# ---- encryption ----


def rules(*words, targets=("my/b/k",)):
    return encryption(parse(["cp", *words, *targets], ROOT, {}), targets)


def test_encryption_headers():
    found = rules("--enc-kms", "my/b=key-1")
    assert found.rules[0].headers() == [
        ("X-Amz-Server-Side-Encryption", "aws:kms"), ("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "key-1"),
    ]  # fmt: skip
    key = b"0123456789abcdef" * 2
    for text in (key.hex(), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"):
        headers = dict(rules("--enc-c", f"my/b={text}").rules[0].headers())
        assert headers["X-Amz-Server-Side-Encryption-Customer-Key-MD5"] == "hRasmdxgYDKV3nvbahU1MA=="
    assert rules("--encrypt-key", "my/b=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=").rules[0].secret == key
    assert rules("--encrypt-key", f"my/b={key.decode()}").rules[0].secret == key


@pytest.mark.parametrize(("words", "cause"), [
    (["--enc-s3", "my/x"], "do not match"), (["--enc-kms", "my/b"], "missing"),
    (["--enc-s3", "my/b", "--enc-kms", "my/b/k=x"], "overlaps"), (["--enc-kms", "my/b=-x"], "key name"),
    (["--enc-c", "my/b=short"], "only 3 bytes"), (["--enc-c", f"my/b={'zz' * 32}"], "hexadecimal"),
])  # fmt: skip
def test_encryption_flags_that_cannot_be(words, cause):
    with pytest.raises(Fatal) as caught:
        rules(*words)
    assert cause in caught.value.cause.text


def test_a_rule_of_the_environment_need_not_match():
    line = parse(["cp", "a", "my/b/k"], ROOT, {"MC_ENC_S3": "other/x,my/b"})
    assert [rule.prefix for rule in encryption(line, line.args).rules] == ["other/x", "my/b"]


def test_nothing_is_encrypted_without_rules():
    assert Encryption().write(None) == []


@pytest.mark.parametrize(("headers", "text"), [
    ({}, ""), ({"x-amz-server-side-encryption": "AES256"}, "SSE-S3"),
    ({"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "arn:aws:kms:k"},
     "SSE-KMS (arn:aws:kms:k)"),
    ({"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-bucket-key-enabled": "true"}, "SSE-KMS"),
    ({"x-amz-server-side-encryption-customer-key-md5": "x"}, "SSE-C"),
    ({"x-amz-server-side-encryption": "rot13"}, "SSE-Unknown"),
])  # fmt: skip
def test_how_an_object_is_encrypted(headers, text):
    assert encryption_line(headers) == text


# ---- metadata ----


def test_attributes():
    assert attributes("Cache-Control=max-age=90;color=red;x-amz-meta-Size=Big") == {
        "Cache-Control": "max-age=90", "X-Amz-Meta-Color": "red", "X-Amz-Meta-Size": "Big",
    }  # fmt: skip
    with pytest.raises(Fatal):
        attributes("nothing")
    assert tags_header("a=1&b=two words") == "a=1&b=two+words"
    assert validity_days("1y") == 365
    assert [content_type(name) for name in ("a.txt", "a", "a.json", "a.tar.gz")] == [
        "text/plain", "application/octet-stream", "application/json", "application/gzip",
    ]  # fmt: skip


# ---- anonymous access ----


def test_permissions_are_added_and_taken_away():
    policy = with_permission(None, "b", "", "download")
    assert permission_of(policy, "b", "") == "download"
    policy = with_permission(policy, "b", "up", "upload")
    assert (permission_of(policy, "b", ""), permission_of(policy, "b", "up")) == ("download", "upload")
    assert permissions(policy, "b") == {"b/*": "readonly", "b/up*": "writeonly"}
    policy = with_permission(policy, "b", "", "private")
    assert permission_of(policy, "b", "") == "custom"
    assert with_permission(policy, "b", "up", "private")["Statement"] == []


def test_statements_of_others_stay():
    other = {"Effect": "Deny", "Principal": {"AWS": ["arn:aws:iam::1:user/x"]}, "Action": ["s3:*"], "Resource": ["*"]}
    policy = with_permission({"Version": "2012-10-17", "Statement": [other]}, "b", "", "public")
    assert other in policy["Statement"]
    assert permission_of(policy, "b", "") == "public"
    assert with_permission(policy, "b", "", "private")["Statement"] == [other]


def test_listing_below_a_prefix_only():
    policy = with_permission(None, "b", "pub/", "download")
    assert permission_of(policy, "b", "pub/") == "download"
    assert any("Condition" in each for each in policy["Statement"])


# ---- progress ----


def test_the_bar_of_the_guide():
    text = bar(153, "test.file", 5, 5, 0.0148, done=True)
    assert len(text) == 153
    assert text.startswith("test.file:")
    assert " 5 B / 5 B ┃▓" in text
    assert text.endswith("▓┃ 100.00% 337 B/s 0s")
    half = bar(80, "x" * 100, 50, 100, 1.0, done=False)
    assert len(half) == 80
    assert "..." in half[:4]
    assert "█░" in half
    assert " 50.00% 50 B/s 1s" in half


def test_captions_are_cut_on_the_left():
    assert caption("/a/long/way/to/images.jpg", 100) == "...y/to/images.jpg:"[:3] + "y/to/images.jpg"[-14:] + ":"
    assert caption("a", 100) == "a:" + " " * 16


def test_what_failed_is_taken_back():
    progress = Progress(Console(out=io.StringIO()))
    progress.expect(10)
    tally = progress.tally()
    tally.add(7)
    tally.drop()
    assert (progress.current, progress.total, progress.objects) == (0, 10, 1)


# ---- comparing ----


def entry(key, size=1, modified="2026-01-01T00:00:00Z"):
    return Entry(key, size, modified)


def test_two_sides_in_step():
    first = [entry("a"), entry("b"), entry("c", 2), entry("e", modified="2026-01-02T00:00:00Z")]
    second = [entry("b"), entry("c"), entry("d"), entry("e"), entry("ü")]
    found = [(each.key, each.kind) for each in compare(iter(first), iter(second))]
    assert found == [("a", FIRST), ("b", SAME), ("c", SIZE), ("d", SECOND), ("e", NEWER), ("ü", SECOND)]


def test_ages():
    now = datetime(2026, 1, 10, tzinfo=UTC)
    old, new = age_test("5d", "", now), age_test("", "5d", now)
    assert old(entry("a"))
    assert not new(entry("a"))
    with pytest.raises(Fatal):
        age_test("soon", "")


# ---- threads ----


def test_a_crew_does_everything_once():
    done, lock = [], threading.Lock()

    def work(item):
        with lock:
            done.append(item)

    each(4, work, range(1000))
    assert sorted(done) == list(range(1000))


def test_the_first_failure_stops_a_crew():
    def work(item):
        if item == 3:
            raise ValueError(item)

    with pytest.raises(ValueError, match="3"):
        each(2, work, range(100_000))


def test_a_crew_that_was_stopped_starts_nothing_more():
    seen = []
    crew = Crew(1, seen.append)
    crew.stop()
    assert not crew.feed(1)
    crew.finish()
    assert seen == []
