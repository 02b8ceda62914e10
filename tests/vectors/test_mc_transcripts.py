"""Every recorded mc command, in its order, in a pipe, with --json and on a terminal, against our own servers."""

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
)

CLI = load("cli.json")
FORMS = ("plain", "json", "tty")
ENDLESS = {"ready-maintenance", "ready-dead"}  # the recorder ended them; tests/unit/cli/mc/test_mc_ping.py has them
PARALLEL = ("cp", "mv", "mirror", "share-list", "rm-recursive", "user-denied", "stat")


@pytest.fixture(scope="module", params=FORMS)
def passed(request, tmp_path_factory):
    """Run one whole pass; return the form and what every entry gave."""
    form = request.param
    world = World(form, tmp_path_factory.mktemp(f"mc-{form}"))
    try:
        answers, sent = {}, {}
        for entry in CLI:
            if entry["name"] not in ENDLESS:
                answers[entry["name"]] = world.run(entry)
                sent[entry["name"]] = changes(ours(world.sent))
        return form, answers, sent
    finally:
        world.close()


def expected(entry, form):
    """Return the recorded answer of a form, with our own changes in it; None when there is none."""
    own = overrides().get(entry["name"], {})
    if form == "tty" and not isinstance(entry.get("tty"), dict):
        return None
    found = dict(entry.get(form) or {})
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
    return found if found.get("exit_code") is not None else None


def changed(text, own):
    """Return a recorded text as our override has it."""
    text = simplified(text)
    if own.get("without"):
        text = "".join(line for line in text.splitlines(keepends=True) if own["without"] not in line)
    for old, new in own.get("replace", {}).items():
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize("entry", [e for e in CLI if e["name"] not in ENDLESS], ids=lambda entry: entry["name"])
def test_transcript(passed, entry):
    form, answers, _ = passed
    want = expected(entry, form)
    if want is None:
        pytest.skip("this form was not recorded")
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
@pytest.mark.parametrize("entry", load("requests.json"), ids=lambda entry: entry["name"])
def test_changing_requests(passed, entry):
    """What changes something on the server is asked for as the original does: method, address, headers, document."""
    _, _, sent = passed
    if entry["name"] in ENDLESS:
        pytest.skip("ended by the recorder")
    reason = overrides().get(entry["name"], {}).get("requests")
    if reason:
        pytest.skip(reason)
    assert sent[entry["name"]] == changes(theirs(entry))
