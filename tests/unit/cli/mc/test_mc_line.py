"""Reading command lines, and what help, completion and manual pages make of the same tables."""

import re
import shlex
import subprocess

import pytest

from strongroom.cli.mc import help as pages
from strongroom.cli.mc.examples import _LINES, examples
from strongroom.cli.mc.flags import Command, Misused, many, on, parse, text
from strongroom.cli.mc.main import command
from strongroom.cli.mc.table import ROOT


def line(*words, **environ):
    return parse(words, ROOT, environ)


def test_flags_stand_anywhere():
    found = line("--json", "cp", "a", "-r", "my/b", "--enc-s3=my/b", "--attr", "x=y", "-q")
    assert found.path == ("cp",)
    assert found.args == ("a", "my/b")
    assert found.on("json")
    assert found.on("recursive")
    assert found.on("quiet")
    assert (found.many("enc-s3"), found.text("attr")) == (["my/b"], "x=y")


def test_one_dash_is_as_good_as_two_and_two_alone_end_the_flags():
    found = line("-json", "ls", "-recursive", "--", "-r")
    assert found.on("recursive")
    assert found.args == ("-r",)


def test_a_dash_alone_is_an_argument():
    assert line("cp", "-", "x").args == ("-", "x")


def test_a_command_flag_wins_over_a_global_one():
    assert line("admin", "trace", "-v", "my").on("verbose")


def test_switches_take_values():
    assert not line("ls", "--recursive=false").on("recursive")
    with pytest.raises(Misused, match="invalid boolean"):
        line("ls", "--recursive=maybe")


@pytest.mark.parametrize(("words", "kind"), [
    (["lss"], "command"), (["alias", "sett"], "command"), (["ls", "--nosuch"], "flag"), (["ls", "--sc"], "flag"),
])  # fmt: skip
def test_what_cannot_be_understood(words, kind):
    with pytest.raises(Misused) as caught:
        line(*words)
    assert caught.value.kind == kind


def test_old_names():
    assert line("config", "host", "add", "a").command.run == "cmd_alias:set_"
    assert line("policy", "get", "a/b").command.run == "cmd_anonymous:get"
    assert line("admin", "policy", "add", "a", "b", "c").command.run == "admin_iam:policy_create"


def test_the_environment_stands_in_for_flags():
    found = line("cp", "a", "b", MC_ENC_S3="my/b", MC_JSON="1", MC_QUIET="")
    assert found.many("enc-s3") == ["my/b"]
    assert "enc-s3" in found.values.inherited
    assert found.on("json")
    assert line("cp", "--enc-s3", "x", "a", "b", MC_ENC_S3="my/b").many("enc-s3") == ["x"]
    with pytest.raises(Misused, match="could not parse on as bool"):
        line("ls", MC_JSON="on")


def _all(node, path=()):
    for child in node.children:
        yield from _all(child, (*path, child.name))
    if node.run:
        yield path, node


@pytest.mark.parametrize(
    ("path", "node"), list(_all(ROOT)), ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_can_be_imported_and_has_help(path, node):
    assert callable(command(parse(path, ROOT, {})))
    shown = pages.text(node, path, "mc")
    assert f"mc {' '.join(path)}" in shown
    assert "Exit codes" in shown


def test_near_words():
    assert pages.near("lss", ROOT) == ["ls"]


def test_completion_scripts_are_scripts():
    script = pages._bash()
    assert subprocess.run(["bash", "-n"], input=script.encode(), check=False).returncode == 0
    asked = script + '\nCOMP_WORDS=(mc encrypt se); COMP_CWORD=2; _strongroom_mc; echo "${COMPREPLY[@]}"'
    out = subprocess.run(["bash"], input=asked.encode(), capture_output=True, check=True).stdout
    assert out.split() == [b"set"]
    assert "complete -c mc" in pages._fish()


def test_a_manual_page():
    page = pages.manual_page(ROOT)
    assert page.startswith(".TH MC 1")
    assert ".B mc encrypt set" in page


def test_values_of_unknown_names_are_empty():
    root = Command("x", "", children=(Command("y", "", "m:f", flags=(on("a b"), text("c"), many("d"))),))
    found = parse(["y", "-b"], root, {})
    assert (found.on("a"), found.text("c", "z"), found.many("d")) == (True, "z", [])


RUNNABLE = [path for path, node in pages._walk(ROOT) if node.run and not node.run.startswith("cmd_stubs")]
RUNNABLE.append(("import",))  # hidden, because people type `strongroom s3 import`


@pytest.mark.parametrize("path", RUNNABLE, ids=" ".join)
def test_every_command_has_an_example_that_can_be_typed(path):
    shown = examples(path)
    assert shown
    for row in shown:
        words = shlex.split(re.split(" [<>|] ", row)[0])
        line = parse(words, ROOT, {})
        assert line.path == path
        assert len(line.args) >= line.command.least
        assert line.command.most is None or len(line.args) <= line.command.most
        assert f"  mc {row}" in pages.text(line.command, path, "mc").splitlines()


def test_every_example_belongs_to_a_command():
    assert (
        sum(len(examples(path)) for path in RUNNABLE) == len(_LINES.split("\n")) - 2
    )  # the first and the last are empty
