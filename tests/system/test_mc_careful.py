"""mc and what people would lose: sources, buckets, files on full disks, tags of copies."""

import json
import os
import subprocess
import sys

import pytest
from mc_shell import MC, MIB, big_file, until


def test_nothing_is_copied_into_itself(shell):
    shell.run("mb", "my/self")
    (shell.folder / "a" / "b").mkdir(parents=True)
    (shell.folder / "a" / "f").write_text("f")
    shell.run("cp", "-r", "a", "my/self/")
    for words in (
        ("a", "a/b/"),
        ("my/self/a", "my/self/a/b/"),
        ("my/self/", "my/self/copy/"),
        ("my/self/a", "my/self/a"),
    ):
        assert "into itself is not allowed" in shell.run("cp", "-r", *words, code=1)
    shell.run("cp", "-r", "my/self/a/", "my/self/a/")
    assert shell.keys("my/self") == ["a/f"]
    shell.run("cp", "-r", "my/self/a", "my/self/a2/")
    assert shell.keys("my/self") == ["a/f", "a2/a/f"]


def test_what_is_no_object_is_not_read_or_written(shell):
    shell.run("mb", "my/plain")
    (shell.folder / "f").write_text("f")
    os.mkfifo(shell.folder / "pipe")
    shell.run("cp", "f", "my/plain/dir/f")
    for words in (("cat", "my/plain"), ("cat", "my"), ("head", "my/plain/"), ("get", "my/plain", "out"),
                  ("get", "my/plain/dir/", "."), ("put", "f", "my"), ("pipe", "my/plain"), ("pipe", "my"),
                  ("mirror", ".", "my"), ("put", "pipe", "my/plain/x"), ("cp", "pipe", "my/plain/x")):  # fmt: skip
        out = shell.run(*words, code=1)
        assert any(text in out for text in ("is a folder.", "cannot be empty.", "not a regular file")), words
    assert shell.keys("my/plain") == ["dir/f"]
    assert not (shell.folder / "out").exists()


def test_a_pipe_is_written_to_and_stays(shell):
    shell.run("mb", "my/pipes-stay")
    (shell.folder / "f").write_text("words")
    os.mkfifo(shell.folder / "pipe")
    shell.run("cp", "f", "my/pipes-stay/f")
    reader = os.open(shell.folder / "pipe", os.O_RDWR)
    shell.run("cp", "my/pipes-stay/f", "pipe")
    assert os.read(reader, 100) == b"words"
    os.close(reader)
    assert (shell.folder / "pipe").is_fifo()


def test_a_mirror_removes_nothing_for_a_source_that_is_not_there(shell):
    shell.run("mb", "my/mirrored")
    (shell.folder / "f").write_text("f")
    (shell.folder / "kept").mkdir()
    (shell.folder / "kept" / "precious").write_text("1")
    shell.run("cp", "f", "my/mirrored/d/f")
    assert "Object does not exist" in shell.run("mirror", "--remove", "my/mirrored/typo", "kept", code=1)
    assert "is not a folder" in shell.run("mirror", "--remove", "my/mirrored/d/f", "kept", code=1)
    assert (shell.folder / "kept" / "precious").exists()


def test_a_watched_folder_that_goes_away_takes_nothing_with_it(shell):
    shell.run("mb", "my/watched")
    (shell.folder / "source").mkdir()
    (shell.folder / "source" / "f").write_text("f")
    process = shell.start("mirror", "--watch", "--remove", "source", "my/watched", stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert until(lambda: shell.keys("my/watched"), bool) == ["f"]
    (shell.folder / "source" / "g").write_text("g")
    assert until(lambda: shell.keys("my/watched"), lambda found: len(found) == 2) == ["f", "g"]
    (shell.folder / "source").rename(shell.folder / "elsewhere")
    assert "Unable to stat source `source`." in process.stderr.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert shell.keys("my/watched") == ["f", "g"]


def test_a_folders_name_is_no_prefix_for_locks_tags_and_undo(shell):
    shell.run("mb", "--with-lock", "my/locked-dirs")
    (shell.folder / "f").write_text("f")
    for place in ("dir/f", "dir2/f"):
        shell.run("cp", "f", f"my/locked-dirs/{place}")
    for words in (("retention", "set", "-r", "governance", "1d"), ("legalhold", "set", "-r")):
        assert "dir2" not in shell.run(*words, "my/locked-dirs/dir")
        assert words[0] == "retention" or "[    OFF" in shell.run("legalhold", "info", "my/locked-dirs/dir2/f")
    shell.run("legalhold", "clear", "-r", "my/locked-dirs/dir/")
    assert "dir2" not in shell.run("tag", "set", "-r", "my/locked-dirs/dir", "a=b")
    assert "dir2" not in shell.run("undo", "-r", "--dry-run", "my/locked-dirs/dir")
    assert "dir/f" in shell.run("undo", "-r", "--dry-run", "my/locked-dirs/dir")


@pytest.mark.parametrize("words", [("ls", "my/full"), ("--json", "ls", "my/full"), ("cat", "my/full/f"),
                                   ("head", "my/full/f"), ("--help",)])  # fmt: skip
def test_output_that_cannot_be_written_is_an_error(shell, words):
    shell.run("mb", "-p", "my/full")
    shell.run("pipe", "my/full/f", stdin=b"x")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*MC, *words], env=shell.environ, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr == b"mc: <ERROR> Unable to write the output: no space left on device.\n"


def test_a_prefix_is_no_bucket_to_remove(shell):
    shell.run("mb", "my/kept")
    (shell.folder / "f").write_text("f")
    shell.run("cp", "f", "my/kept/dir/f")
    assert "is not a bucket" in shell.run("rb", "--force", "my/kept/dir", code=1)
    assert "--force" in shell.run("rm", "--purge", "my/kept/dir", code=1)
    assert "rb --force" in shell.run("rm", "--purge", "--force", "my/kept", code=1)
    assert shell.keys("my/kept") == ["dir/f"]


def test_ages_count_for_single_objects_and_for_files_too(shell):
    shell.run("mb", "my/ages", "my/ages-moved")
    for name in ("d/new", "d/old", "f"):
        (shell.folder / name).parent.mkdir(exist_ok=True)
        (shell.folder / name).write_text("f")
    os.utime(shell.folder / "d" / "old", (1e9, 1e9))
    shell.run("cp", "f", "my/ages/f")
    shell.run("rm", "--older-than", "1d", "my/ages/f")
    assert shell.keys("my/ages") == ["f"]
    shell.run("mv", "--older-than", "1d", "my/ages/f", "my/ages-moved/")
    shell.run("mv", "--older-than", "1d", "f", "my/ages-moved/")
    assert (shell.keys("my/ages"), shell.keys("my/ages-moved")) == (["f"], [])
    shell.run("rm", "-r", "--force", "--older-than", "1d", "d")
    assert [path.name for path in (shell.folder / "d").iterdir()] == ["new"]
    assert "Object does not exist" in shell.run("rm", "--newer-than", "1d", "my/ages/none", code=1)
    assert "--recursive" in shell.run("rm", "-r", "--force", "--vid", "x", "my/ages", code=1)
    assert "DRYRUN" in shell.run("rm", "--purge", "--dry-run", "my/ages/f")
    assert shell.keys("my/ages") == ["f"]
    shell.run("rm", "--newer-than", "1d", "my/ages/f")
    assert shell.keys("my/ages") == []


def test_a_disk_that_takes_a_part_is_an_error(shell):
    shell.run("mb", "my/parts")
    (shell.folder / "f").write_bytes(bytes(150_000))
    shell.run("cp", "f", "my/parts/f")
    limited = [sys.executable, "-c", "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100000, "
               "100000)); os.execv(sys.argv[1], sys.argv[1:])"]  # fmt: skip
    done = subprocess.run([*limited, *MC, "mv", "my/parts/f", "back"], env=shell.environ, cwd=shell.folder, check=False,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 1
    assert not (shell.folder / "back").exists()
    assert shell.keys("my/parts") == ["f"]


def test_aliases_set_at_once_are_all_kept(shell):
    words = ("alias", "set", "--api", "S3v4")
    running = [shell.start(*words, f"at-once-{number}", "http://h", "minio", "minio123", stdout=subprocess.DEVNULL)
               for number in range(6)]  # fmt: skip
    assert [process.wait(60) for process in running] == [0] * 6
    assert shell.run("alias", "list").count("at-once-") == 6


def test_a_mirror_into_its_source_has_to_leave_it_out(shell):
    (shell.folder / "tree").mkdir()
    (shell.folder / "tree" / "f").write_text("f")
    shell.run("mb", "my/inward")
    shell.run("cp", "-r", "tree/", "my/inward/")
    for source, target in (("tree", "tree/copy"), ("my/inward", "my/inward/copy/")):
        assert "--exclude 'copy/*'" in shell.run("mirror", source, target, code=1)
        for _ in range(2):
            shell.run("mirror", "--exclude", "copy/*", source, target)
    assert shell.keys("my/inward") == ["copy/f", "f"]
    assert sorted(path.name for path in (shell.folder / "tree").rglob("*")) == ["copy", "f", "f"]


def test_tags_go_with_an_object_to_another_server(shell):
    (shell.folder / "f").write_text("f")
    shell.run("mb", "my/tags", "kes/tags")
    shell.run("cp", "--tags", "a=1&b=x y", "--attr", "c=2", "f", "my/tags/f")
    shell.run("mirror", "my/tags", "kes/tags")
    assert json.loads(shell.run("--json", "tag", "list", "kes/tags/f"))["tagset"] == {"a": "1", "b": "x y"}
    shell.run("cp", "--tags", "other=3", "my/tags/f", "kes/tags/g")
    assert json.loads(shell.run("--json", "tag", "list", "kes/tags/g"))["tagset"] == {"other": "3"}


def test_an_object_too_large_for_one_copy_keeps_what_describes_it(shell):
    big_file(shell.folder / "big", 2 * MIB)
    shell.run("mb", "my/large")
    shell.run("cp", "--tags", "a=1", "--attr", "c=2;Content-Type=text/plain", "big", "my/large/d/big")
    program = MC[2].replace(
        "import sys;", "import sys; from strongroom.cli.mc import moving; moving.SINGLE_LIMIT = 1000;"
    )
    subprocess.run([*MC[:2], program, "cp", "-r", "my/large/d/", "my/large/e/"], env=shell.environ, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    found = json.loads(shell.run("--json", "stat", "my/large/e/big"))
    assert (found["size"], found["metadata"]["X-Amz-Meta-C"]) == (2 * MIB, "2")
    assert found["metadata"]["Content-Type"] == "text/plain"
    assert json.loads(shell.run("--json", "tag", "list", "my/large/e/big"))["tagset"] == {"a": "1"}


def test_an_object_and_a_folder_of_one_name_move_together(shell):
    shell.run("mb", "my/both", "my/both-moved")
    (shell.folder / "f").write_text("f")
    shell.run("cp", "f", "my/both/d")
    shell.run("cp", "f", "my/both/d/f")
    shell.run("mv", "-r", "my/both/d", "my/both-moved/")
    assert shell.keys("my/both-moved") == ["d", "d/f"]
    assert shell.keys("my/both") == []


def test_no_header_smuggles_another(shell):
    shell.run("mb", "my/heads")
    (shell.folder / "f").write_text("f")
    out = shell.run("cp", "--attr", "k=v\r\nX-Amz-Meta-Evil: 1", "f", "my/heads/f", code=1)
    assert "holds a line break" in out
    assert "Traceback" not in shell.run("ls", "my/a\r\nX-Evil: 1", code=1)
