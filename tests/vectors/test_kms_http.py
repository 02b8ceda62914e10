"""Replays the recorded requests, in their order, against an in-process server and compares statuses and bodies.

Placeholders such as `<uuid>` match by shape; captured values are bound on first sight. What we answer differently on
purpose stands in overrides/kms.json, with the reason.
"""

import json
import re
from pathlib import Path

import pytest
from kms_replay import Replay

HERE = Path(__file__).parent
CASES = json.loads((HERE / "kms/http.json").read_text())["cases"]
OVERRIDES = json.loads((HERE / "overrides/kms.json").read_text())["http"]
GROUPS = list(dict.fromkeys(case["name"].split("/")[0] for case in CASES))
STANDARD = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}
SHAPES = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
    "token": r"(s|hvs)\.[A-Za-z0-9]{24}",
    "batch_token": r"b\.[\w-]+",
    "accessor": r"[A-Za-z0-9]{24}",
    "b64": r"[A-Za-z0-9+/]+=*",
    "hex8": r"[0-9a-f]{8}",
    "hex64": r"[0-9a-f]{64}",
    "pem public key": r"-----BEGIN PUBLIC KEY-----[\s\S]+-----END PUBLIC KEY-----\n?",
}
LOOSE = {"migration", "help text", "openapi document", "text of the default policy", "policy text", "plaintext"}
LOOSE |= {"random_bytes", "exported_key", "backup", "duration", "otp"}
WORDS = (("OpenBao CLI", "Vault CLI"), ("'bao kv", "'vault kv"), ("OpenBao's server log", "the server's log"))


def same(wanted, given, known, place="body"):
    """Return the first difference, "" for none."""
    if isinstance(wanted, dict) and isinstance(given, dict):
        if set(wanted) != set(given):
            extra, missing = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
            return f"{place}: missing {missing}, too much {extra}"
        return next(filter(None, (same(wanted[k], given[k], known, f"{place}.{k}") for k in wanted)), "")
    if isinstance(wanted, list) and isinstance(given, list):
        if len(wanted) != len(given):
            return f"{place}: {len(given)} elements, wanted {len(wanted)}: {given}"
        if "<uuid>" in wanted:  # random names, sorted: the order tells nothing
            left = list(given)
            for part in sorted(wanted, key=lambda text: text in ("<uuid>",)):
                found = next((g for g in left if not same(part, g, known)), None)
                if found is None:
                    return f"{place}: {given}, wanted {wanted}"
                left.remove(found)
            return ""
        return next(filter(None, (same(w, g, known, f"{place}[]") for w, g in zip(wanted, given, strict=True))), "")
    if isinstance(wanted, str):
        return "" if text_matches(wanted, given, known) else f"{place}: {given!r}, wanted {wanted!r}"
    if place.endswith(".ttl") and isinstance(given, int) and 0 <= wanted - given <= 2:
        return ""  # a second may pass
    return "" if type(wanted) is type(given) and wanted == given else f"{place}: {given!r}, wanted {wanted!r}"


def text_matches(wanted, given, known):
    if re.fullmatch(r"<int(~\d+)?>", wanted):
        about = wanted.strip("<>").partition("~")[2]
        return isinstance(given, int) and (not about or abs(given - int(about)) <= 30)
    if wanted == "<unix_time>":
        return isinstance(given, int) and given > 1_600_000_000
    if not isinstance(given, str):
        return wanted in ("<openapi document>",) and given is None
    if re.fullmatch(r"[A-Za-z0-9+/]{43}=", wanted):  # a public key that was left as it was
        return re.fullmatch(r"[A-Za-z0-9+/]{43}=", given) is not None
    for ours, theirs in WORDS:
        wanted = wanted.replace(ours, theirs)
    pattern, place = "", 0
    for match in re.finditer(r"<([\w ]+)>", wanted):
        pattern += re.escape(wanted[place : match.start()])
        name = match.group(1)
        if name in known:
            pattern += re.escape(known[name])
        elif name in SHAPES:
            pattern += SHAPES[name]
        elif name in LOOSE:
            pattern += r"[\s\S]*"
        else:
            pattern += re.escape(match.group(0))
        place = match.end()
    return re.fullmatch(pattern + re.escape(wanted[place:]), given) is not None


def difference(case, answer, known):
    wanted = OVERRIDES.get(case["name"], {}).get("response", case["response"])
    if answer.status != wanted["status"]:
        return f"status {answer.status}, wanted {wanted['status']}: {answer.body[:300]!r}"
    if case.get("step"):
        return ""
    headers = dict(answer.headers)
    for name, value in (STANDARD | (wanted.get("headers") or {})).items():
        if name == "Content-Type" and "body" not in wanted and value is not None:
            continue
        if name in STANDARD and answer.status in (204, 999) and name != "Cache-Control":
            continue
        given = headers.get(name)
        if given != value and not (value and value.startswith("/") and given == known.get("x")):
            return f"header {name}: {given!r}, wanted {value!r}"
    if "body" not in wanted:
        return f"unexpected body {answer.body[:200]!r}" if answer.body and case["request"]["method"] != "HEAD" else ""
    body = wanted["body"]
    if isinstance(body, str):
        return "" if answer.body.decode() == body else f"body {answer.body!r}, wanted {body!r}"
    given = json.loads(answer.body)
    compare = OVERRIDES.get(case["name"], {}).get("compare")
    if compare:  # members of data that both have
        body, given = ({name: found["data"][name] for name in compare} for found in (body, given))
    if isinstance(body, dict) and set(body) == {"data"}:
        given = {"data": given.get("data")}
    if isinstance(given, dict) and "build_date" in given and "commit_date" in given:
        given.pop("build_date")
    return same(body, given, known)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    import asyncio

    folder = tmp_path_factory.mktemp("kms")

    async def everything():
        replay, found = Replay(folder), {}
        for case in CASES:
            try:
                answer = await replay.run(case)
                problem = difference(case, answer, replay.known)
            except Exception as error:  # a broken case must not hide those after it
                problem = f"{type(error).__name__}: {error}"
            if problem:
                found.setdefault(case["name"].split("/")[0], []).append(f"{case['name']}: {problem}")
        return found

    return asyncio.run(everything())


@pytest.mark.parametrize("group", GROUPS)
def test_recorded_group(results, group):
    problems = results.get(group, [])
    assert not problems, f"{len(problems)} differ:\n" + "\n".join(problems)


def test_every_override_names_a_case_and_a_reason():
    names = {case["name"] for case in CASES}
    for name, override in OVERRIDES.items():
        assert name in names
        assert override["reason"]
