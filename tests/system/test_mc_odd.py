"""mc with odd names, odd flags and odd places, on a real server."""

import bz2
import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest
from mc_shell import MC


@pytest.mark.parametrize(
    "name", ["cr\rx", "ctl\x01x", "nl\nx", "tab\tx", "a&<b>", "plus+%41 x", "-r", "--force", "ü漢😀"]
)
def test_a_name_is_removed_whatever_it_holds(shell, name):
    bucket = f"my/names-{sum(name.encode())}"
    shell.run("mb", bucket)
    (shell.folder / "f").write_text("f")
    shell.run("cp", "--", "f", f"{bucket}/{name}")
    assert shell.keys(bucket) == [name]
    shell.run("rm", "--", f"{bucket}/{name}")
    assert shell.keys(bucket) == []


def test_names_that_are_no_utf8_are_shown_and_refused(shell):
    shell.run("mb", "my/bytes")
    Path(os.fsdecode(os.fsencode(shell.folder) + b"/bad\xff.txt")).write_text("x")
    (shell.folder / "good.txt").write_text("x")
    shell.environ |= {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run([*MC, "ls", "."], cwd=shell.folder, env=shell.environ, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"bad\xff.txt\n" in done.stdout
    assert json.loads(shell.run("--json", "ls", ".").partition("\n")[0])["key"] == "bad\ufffd.txt"
    done = subprocess.run([*MC, "rm", b"my/bytes/bad\xff.txt"], env=shell.environ, capture_output=True, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)


def test_a_folder_with_a_marker_comes_down_and_goes_to_a_bucket(shell):
    (shell.folder / "f").write_text("f")
    shell.run("mb", "my/marked", "my/marked/dir", "my/marked-copy")
    shell.run("cp", "f", "my/marked/dir/f")
    shell.run("cp", "-r", "my/marked/dir/", "out/")
    assert [path.name for path in (shell.folder / "out").iterdir()] == ["f"]
    shell.run("cp", "-r", "my/marked/dir/", "my/marked-copy")
    assert shell.keys("my/marked-copy") == ["f"]
    shell.run("cp", "-r", "my/marked/dir/", "my/marked-copy/there/")
    assert shell.keys("my/marked-copy") == ["f", "there/", "there/f"]


def test_a_folder_whose_name_ends_in_a_dot_keeps_it(shell):
    shell.run("mb", "my/dotted")
    (shell.folder / "v1.").mkdir()
    (shell.folder / "v1." / "f").write_text("f")
    shell.run("cp", "-r", "v1.", "my/dotted/")
    assert shell.keys("my/dotted") == ["v1./f"]


@pytest.mark.parametrize("name", ['it\'s; a $(touch made) "q", x', "@f", "<f", "back\\slash"])
def test_a_shared_upload_can_be_pasted_into_a_shell(shell, name):
    shell.run("mb", "-p", "my/form")
    (shell.folder / "f").write_text("from a form")
    command = json.loads(shell.run("--json", "share", "upload", f"my/form/{name}"))["share"]
    subprocess.run(["sh", "-c", command.replace("@<FILE>", "@f") + " -sf"], cwd=shell.folder, check=True)
    assert shell.run("cat", f"my/form/{name}") == "from a form"
    assert not (shell.folder / "made").exists()


def test_head_unpacks_all_members_and_tells_of_a_cut(shell):
    shell.run("mb", "my/packed")
    for kind, pack in (("gzip", gzip.compress), ("x-bzip2", bz2.compress)):
        whole = pack(b"one\n") + pack(b"two\n")
        for name, data, code in (("whole", whole, 0), ("cut", whole[:-9], 1)):
            (shell.folder / name).write_bytes(data)
            shell.run("cp", "--attr", f"Content-Type=application/{kind}", name, "my/packed/")
            assert shell.run("head", f"my/packed/{name}", code=code).startswith("one\n")
        assert shell.run("head", "my/packed/whole") == "one\ntwo\n"


def test_no_aliases_at_all_are_no_error(shell):
    for name in ("gcs", "local", "play", "s3"):
        shell.run("alias", "rm", name)
    for name in ("my", "kes", "tls"):
        del shell.environ[f"MC_HOST_{name}"]
    assert shell.run("alias", "list") == ""


def test_a_name_does_not_command_the_terminal(shell):
    shell.run("mb", "my/term")
    (shell.folder / "f").write_text("a\x1b]0;evil\x07b\n")
    shell.run("cp", "f", "my/term/x\x1b]0;evil\x07\x1b[2Jy")
    for words in (
        ("ls", "my/term"),
        ("find", "my/term"),
        ("stat", "my/term/x"),
        ("head", "my/term/x\x1b]0;evil\x07\x1b[2Jy"),
        ("rm", "my/term/x\x1b]0;evil\x07\x1b[2Jy"),
    ):
        shown = shell.on_terminal(*words)
        assert "\x1b]" not in shown
        assert "\x1b[2J" not in shown
        assert "^?]0;evil^?" in shown
    assert "\x1b[" in shell.on_terminal("ls", "my")


def test_debug_shows_no_secret(shell):
    shell.run("mb", "my/debugged")
    (shell.folder / "f").write_text("f")
    out = shell.run("--debug", "-H", "Cookie: hush-one", "-H", "X-Auth-Token: hush-two", "cp", "f", "my/debugged/f")
    assert out.count("*REDACTED*") > 3
    assert "hush" not in out
    assert "Signature=" not in out


def test_find_goes_on_when_its_program_is_missing(shell):
    shell.run("mb", "my/runs")
    (shell.folder / "f").write_text("f")
    shell.run("cp", "f", "my/runs/a")
    shell.run("cp", "f", "my/runs/b")
    assert shell.run("find", "my/runs", "--exec", "no-such-program {}", code=1).count("Unable to run `no-such-p") == 2


@pytest.mark.parametrize("words", [("version", "info"), ("version", "enable"), ("encrypt", "info"), ("tag", "list"),
                                   ("anonymous", "get"), ("cors", "get"), ("ilm", "rule", "ls"), ("legalhold", "info"),
                                   ("retention", "info", "--default"), ("quota", "info"), ("event", "ls"),
                                   ("share", "upload"), ("undo",)])  # fmt: skip
def test_a_server_is_no_bucket(shell, words):
    assert "Bucket name cannot be empty." in shell.run(*words, "my", code=1)


def test_a_tag_that_is_no_utf8_is_said(shell):
    (shell.folder / "f").write_text("f")
    done = subprocess.run([*MC, "cp", "--tags", b"a=\xff", "f", "my/tagged/f"], env=shell.environ, cwd=shell.folder,
                          capture_output=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)


def test_metadata_may_be_unicode(shell):
    shell.run("mb", "my/meta")
    (shell.folder / "f").write_text("f")
    shell.run("cp", "--attr", "x=ü漢;Cache-Control=no-store", "f", "my/meta/f")
    shell.run("cp", "my/meta/f", "my/meta/copy")
    assert json.loads(shell.run("--json", "stat", "my/meta/copy"))["metadata"]["X-Amz-Meta-X"] == "ü漢"


@pytest.mark.parametrize("words", [("--maxdepth", "abc"), ("--metadata", "a=("), ("--exec", 'a "b'), ("--regex", "(")])
def test_find_says_which_flag_it_cannot_read(shell, words):
    shell.run("mb", "-p", "my/found")
    shell.run("pipe", "my/found/f", stdin=b"x")
    assert words[0] in shell.run("find", "my/found", *words, code=1).partition("\n")[0]


def test_a_prefix_of_an_unknown_alias_is_an_error(shell):
    shell.run("mb", "my/sse")
    (shell.folder / "f").write_text("f")
    out = shell.run("cp", "--enc-s3", "nosuch/x", "f", "nosuch/x/f", code=1)
    assert "SSE prefix nosuch/x has an invalid alias." in out
    shell.environ["MC_ENC_S3"] = "nosuch/x"
    assert "has an invalid alias" in shell.run("cp", "f", "my/sse/f", code=1)
