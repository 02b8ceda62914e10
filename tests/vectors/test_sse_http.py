"""Every recorded encryption transcript: the same status, code, text, headers and bytes, or an override's."""

import asyncio
import fnmatch
import hashlib
import html
import re
from collections import Counter

import pytest
from vectors.s3_replay import overrides
from vectors.sse_replay import TRANSCRIPTS, Replay

from strongroom.s3.handlers import health

OVERRIDES = overrides("sse")["http.json"]
SERVERS = sorted({entry["server"] for entry in TRANSCRIPTS})
PLACEHOLDERS = {
    "{etag96}": "[0-9a-f]{96}",
    "{etag32}": "[0-9a-f]{32}",
    "{owner-id}": "[0-9a-f]{64}",
    "{http-date}": "[A-Z][a-z]{2}, .* GMT",
    "{host}": "[0-9.:]+",
}


def names():
    """Return the names of the transcripts; a second one of the same name ends in `#2`."""
    seen = Counter()
    for entry in TRANSCRIPTS:
        seen[entry["name"]] += 1
        count = seen[entry["name"]]
        yield entry["name"] if count == 1 else f"{entry['name']}#{count}"


NAMES = list(names())


def override(number):
    found = [change for pattern, change in OVERRIDES.items() if fnmatch.fnmatchcase(NAMES[number], pattern)]
    return found[0] if found else {}


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    async def run():
        replays = [Replay(name, tmp_path_factory.mktemp(name)) for name in SERVERS]
        for replay in replays:
            await replay.run()
        return {number: answer for replay in replays for number, answer in replay.answers.items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "PROBE_SECONDS", 0.0)  # the key service changes between two entries
        return asyncio.run(run())


def pattern(text):
    parts = re.split(r"(\{[A-Za-z0-9-]+\})", text)
    return "".join(PLACEHOLDERS.get(part, ".*?") if part.startswith("{") else re.escape(part) for part in parts)


COMPARED = re.compile(r"etag|content-(length|range|type)|x-amz-(server-side.*|checksum.*|meta-.*|mp-parts-count)")


def wrong_headers(entry, answer, changed):
    """Return the recorded headers that the answer has otherwise, or not; more may be there."""
    recorded = {name.lower(): value for name, value in entry["response"]["headers"].items()}
    recorded |= changed.get("headers", {})
    if answer.status >= 400:
        recorded.pop("content-length", None)
    if answer.body.startswith(b"<"):
        recorded.pop("content-length", None)  # hosts and times differ in length
    return {
        name: (value, answer.headers.get(name))
        for name, value in recorded.items()
        if COMPARED.fullmatch(name) and not re.fullmatch(pattern(value), answer.headers.get(name, ""))
    }


def invented_headers(entry, answer):
    """Return encryption headers that the original does not send and that are not the expected improvement."""
    recorded = {name.lower() for name in entry["response"]["headers"]}
    ours = {name for name in answer.headers if name.startswith("x-amz-server-side-encryption")}
    method, query = entry["request"]["method"], dict(entry["request"]["query"])
    writes = method == "POST" or "x-amz-copy-source" in {name.lower() for name in entry["request"]["headers"]}
    return set() if writes or "attributes" in query else ours - recorded


def cases():
    for number, name in enumerate(NAMES):
        yield pytest.param(number, id=f"{TRANSCRIPTS[number]['server']} {name}")


@pytest.mark.parametrize("number", list(cases()))
def test_recorded_exchange(number, answers):
    entry, answer = TRANSCRIPTS[number], answers[number]
    recorded, changed = entry["response"], override(number)
    body = recorded.get("body") or ""
    status = changed.get("status", recorded["status"])
    code = changed.get("code", (re.search("<Code>(.*?)</Code>", body) or [None, None])[1])
    assert answer is not None
    assert (answer.status, answer.element("Code")) == (status, code), answer.text[:500]
    if code is not None:
        text = changed.get("message", html.unescape((re.search("<Message>(.*?)</Message>", body) or [None, ""])[1]))
        assert html.unescape(answer.element("Message") or "") == text
        return
    if "status" in changed:
        return
    assert not wrong_headers(entry, answer, changed)
    assert not invented_headers(entry, answer)
    if "body_sha256" in recorded and entry["request"]["method"] != "HEAD":
        assert hashlib.sha256(answer.body).hexdigest() == recorded["body_sha256"]
    elif body and not changed.get("body_differs"):
        assert re.fullmatch(pattern(comparable(body)), comparable(answer.text), re.S), answer.text


def comparable(document):
    """Return a document without checksums: the original has them in headers, AWS and we in both places."""
    return re.sub(r"<(Checksum\w+)>[^<]*</\1>", "", document)


def test_every_override_is_used_and_has_a_reason():
    assert all(change.get("reason") for change in OVERRIDES.values())
    assert all(fnmatch.filter(NAMES, glob) for glob in OVERRIDES)
