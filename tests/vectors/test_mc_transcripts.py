"""Every recorded mc command, in its order, in a pipe, with --json and on a terminal, against our own servers."""

from contextlib import nullcontext

import pytest
from vectors.mc_world import (
    World,
    changes,
    load,
    ours,
    overrides,
    same_json,
    same_screen,
    same_text,
    screen,
    simplified,
    theirs,
    two_rounds,
)

CLI = load("cli.json")
OVERRIDES = overrides()
PARALLEL = ("cp", "mv", "mirror", "share-list", "rm-recursive", "user-denied", "stat")


def endless(entry):
    """Tell whether a command was still running when the recorder ended it: it says the same again and again."""
    return "ended_by_recorder_after_s" in entry


def recorded(entry, form):
    """Tell whether this form of an entry was recorded."""
    return isinstance(entry.get(form), dict)


CASES = [(form, entry) for form in ("plain", "json", "tty") for entry in CLI if recorded(entry, form)]


def name(value):
    """Name a test's parameter."""
    return value if isinstance(value, str) else value["name"]


@pytest.fixture(scope="module")
def passed(request, tmp_path_factory):
    """Run one whole pass; return the form and what every entry gave."""
    form = request.param
    world = World(form, tmp_path_factory.mktemp(f"mc-{form}"))
    try:
        answers, sent = {}, {}
        for entry in CLI:
            with two_rounds() if endless(entry) else nullcontext():
                answers[entry["name"]] = world.run(entry)
            sent[entry["name"]] = changes(ours(world.sent))
        return form, answers, sent
    finally:
        world.close()


def expected(entry, form):
    """Return the recorded answer of a form, with our own changes in it."""
    own = OVERRIDES.get(entry["name"], {})
    found = dict(entry[form])
    if form == "tty" and own.get("tty") == "plain":
        plain = expected(entry, "plain")
        return {"exit_code": plain["exit_code"], "screen": plain.get("stdout", "") + plain.get("stderr", "")}
    if form == "tty":
        found = {"exit_code": found.get("exit_code"), "screen": screen(found.get("screen", ""))}
    for name in ("stdout", "stderr", "screen"):
        if found.get(name):
            found[name] = changed(found[name], own)
    for name in ("any", form):
        found.update(own.get(name, {}))
    return found


def changed(text, own):
    """Return a recorded text as our override has it."""
    text = simplified(text)
    if own.get("without"):
        text = "".join(line for line in text.splitlines(keepends=True) if own["without"] not in line)
    for old, new in own.get("replace", {}).items():
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(("passed", "entry"), CASES, indirect=["passed"], ids=name, scope="module")
def test_transcript(passed, entry):
    form, answers, _ = passed
    want = expected(entry, form)
    code, out, err = answers[entry["name"]]
    loose = entry["name"].startswith(PARALLEL)
    if form == "tty":
        assert code == want["exit_code"], out
        if want.get("screen") is not None:
            assert same_screen(want["screen"], out, any_order=loose), f"{out}\n--- recorded\n{want['screen']}"
        return
    compare = same_json if form == "json" else same_text
    assert compare(want.get("stdout", ""), out, any_order=loose), f"{out}\n{err}\n--- recorded\n{want.get('stdout')}"
    assert same_text(want.get("stderr", ""), err, any_order=loose), f"{err}\n--- recorded\n{want.get('stderr')}"
    assert code == want["exit_code"], out + err


@pytest.mark.parametrize("passed", ["plain"], indirect=True, scope="module")
@pytest.mark.parametrize("entry", load("requests.json"), ids=name)
def test_changing_requests(passed, entry):
    """What changes something on the server is asked for as the original does: method, address, headers, document."""
    _, _, sent = passed
    own = OVERRIDES.get(entry["name"], {})
    assert sent[entry["name"]] == own.get("requests", changes(theirs(entry)))


def test_every_override_has_its_reason_and_is_used():
    """An override belongs to an entry, says why, and differs from the recording."""
    requests = {entry["name"]: changes(theirs(entry)) for entry in load("requests.json")}
    assert set(OVERRIDES) <= {entry["name"] for entry in CLI}
    for each, own in OVERRIDES.items():
        assert own["reason"], each
        assert own.get("requests") != requests[each], each
