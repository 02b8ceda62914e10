"""What keeps mc from losing or mixing data: moves, resumed uploads, folders that change, files that are replaced."""

import os

import pytest

from strongroom.cli.mc import cmd_stat, jobs, moving
from strongroom.cli.mc.aliases import Alias, check_keys, write_private
from strongroom.cli.mc.console import Console
from strongroom.cli.mc.encryption import Encryption, customer_key
from strongroom.cli.mc.failures import Failed, Fatal
from strongroom.cli.mc.formats import parse_duration
from strongroom.cli.mc.listing import Entry, Look, age_test, local_entries, local_entry, rewind_time
from strongroom.cli.mc.main import main
from strongroom.cli.mc.metadata import validity_days
from strongroom.cli.mc.moving import Job, Mover
from strongroom.cli.mc.progress import Progress
from strongroom.cli.mc.shell import Local, Remote
from strongroom.errors import Malformed
from strongroom.sdk.s3_download import partial_name
from strongroom.sdk.s3_xml import element


class _Client:
    """As much of a client as an upload's preparation asks for."""

    def get_config(self, *_):
        return b""


class _Shell:
    def __init__(self, folder):
        self.store = type("Store", (), {"folder": folder})


def mover(tmp_path, **more):
    return Mover(_Shell(tmp_path), Progress(Console(quiet=True)), Encryption(), **more)


def job(path):
    return Job(Local(str(path)), Remote(Alias("my", "http://h"), _Client(), "b", "k"), local_entry(path, path.name))


def test_a_file_that_changes_while_it_is_moved_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.write_text("one\n")
    monkeypatch.setattr(moving, "upload", lambda *_: path.write_text("one\ntwo\n"))
    with pytest.raises(Failed, match="changed while it was read"):
        mover(tmp_path, remove=True).move(job(path))
    mover(tmp_path).move(job(path))


def test_an_upload_goes_on_only_with_what_it_was_begun_with(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("x")
    marks = []
    monkeypatch.setattr(moving, "upload", lambda *words: marks.append(words[5]._mark))
    for headers in ([], [("X-Amz-Server-Side-Encryption", "AES256")], [("X-Amz-Tagging", "a=b")]):
        mover(tmp_path, headers=headers).move(job(path))
        mover(tmp_path, headers=headers).move(job(path))
    assert len(marks) == 6
    assert len(set(marks)) == 3
    assert not any("AES256" in mark for mark in marks)


@pytest.mark.parametrize("name", ["漢" * 80, "é" * 127, "a" * 255, "\udcff" * 200, "short"])
def test_a_partial_file_has_a_name_that_may_be(tmp_path, name):
    for path in (partial_name(tmp_path / name, "0123456789ab"), partial_name(tmp_path / name, "1234567")):
        path.touch()
        assert path.parent == tmp_path
        path.with_suffix(".json").touch()


def test_a_copy_on_this_machine_appears_whole(tmp_path, monkeypatch):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("new")
    target.write_text("old")

    def breaks(_, to):
        to.write_text("ha")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(moving.shutil, "copyfile", breaks)
    with pytest.raises(OSError, match="No space"):
        mover(tmp_path).move(Job(Local(str(source)), Local(str(target)), local_entry(source, "source")))
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "target"]


def test_a_folder_that_changes_while_it_is_walked(tmp_path):
    for name in ("a", "b", "d/x", "e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    walk = local_entries(tmp_path, Look(recursive=True))
    assert next(walk).key == "a"
    (tmp_path / "b").unlink()
    (tmp_path / "d" / "x").unlink()
    (tmp_path / "d").rmdir()
    assert [entry.key for entry in walk] == ["e"]
    with pytest.raises(FileNotFoundError):
        next(local_entries(tmp_path / "d", Look()))


def test_names_are_walked_in_the_order_of_their_bytes(tmp_path):
    names = ["\U0001f600", "\ue000", os.fsdecode(b"\xff")]
    for name in names:
        (tmp_path / name).touch()
    assert [os.fsencode(entry.key) for entry in local_entries(tmp_path, Look())] == sorted(map(os.fsencode, names))


def test_a_private_file_is_private_and_a_link_to_it_stays(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "config.json", tmp_path / "config.json"
    real.write_text("old")
    link.symlink_to(real)
    left = real.with_name(f".config.json.{os.getpid()}")
    left.touch(0o644)
    write_private(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o600
    assert not left.exists()


def test_refused_secrets_are_not_repeated():
    with pytest.raises(Fatal) as error:
        check_keys("access", "hunter2")
    assert "hunter2" not in f"{error.value.message}{error.value.cause}"
    for text in ("c2VjcmV0", "é" * 43, "ab " * 21 + "a", "x" * 64):
        with pytest.raises(Fatal) as error:
            customer_key(text)
        assert text not in error.value.cause.text


@pytest.mark.parametrize("text", ["a\x01b", "\udcff", "\ufffe", "\x00"])
def test_what_xml_cannot_hold_is_not_written(text):
    with pytest.raises(Malformed):
        element("Key", text)


def test_line_ends_survive_xml():
    assert element("Key", "a\r\n\tb") == "<Key>a&#13;&#10;&#9;b</Key>"


def test_nobody_at_home_is_said(monkeypatch, capsys):
    monkeypatch.delenv("MC_CONFIG_DIR", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert main(["alias", "list"], "mc") == 1
    assert "Set HOME, or name a folder with --config-dir." in capsys.readouterr().err


def test_restored_and_expiring_objects_are_described():
    shell = type("Shell", (), {"console": Console(color=False)})
    rest = {"expires": "Fri, 31 Jan 2031 12:00:00 GMT",
            "x-amz-restore": 'ongoing-request="false", expiry-date="Sat, 01 Feb 2031 00:00:00 GMT"'}  # fmt: skip
    record = cmd_stat._record(Entry("k"), "k", {}, {}, rest)
    assert record["expires"] == "2031-01-31T12:00:00Z"
    assert record["restore"] == {"OngoingRestore": False, "ExpiryTime": "2031-02-01T00:00:00Z"}
    lines = cmd_stat._lines(shell, Entry("k"), "k", {}, {}, rest)
    assert any(row.startswith("Expires   : 2031-01-31") for row in lines)
    assert lines[-3] == "Restore   :"
    assert lines[-1] == "  Ongoing   : false "
    lines = cmd_stat._lines(shell, Entry("k"), "k", {}, {}, {"x-amz-restore": 'ongoing-request="true"'})
    assert lines[-1] == "  Ongoing: true "


@pytest.mark.parametrize(("failures", "tries", "failed"), [(0, 1, False), (2, 3, False), (9, 4, True)])
def test_with_retries_a_failed_object_is_tried_again(tmp_path, monkeypatch, capsys, failures, tries, failed):
    tried = []

    class _Failing:
        progress = Progress(Console(quiet=True))

        def move(self, _):
            tried.append(1)
            if len(tried) <= failures:
                raise Failed("not now")

    monkeypatch.setattr(jobs, "RETRY_SECONDS", 0.0)
    (tmp_path / "f").touch()
    shell = _Shell(tmp_path)
    shell.console = Console(quiet=True)
    report, clean = jobs.Report(shell, _Failing.progress), jobs.Cleaner(shell, enabled=False)
    jobs.run_jobs(shell, [job(tmp_path / "f")], _Failing(), report, clean, 1, retries=3)
    assert (len(tried), shell.console.failed) == (tries, failed)
    assert capsys.readouterr().err.count("<ERROR>") == failed


@pytest.mark.parametrize("text", ["9999999999y", "2001y", "1e3d", "²d", "1" * 5000 + "d"])
def test_times_beyond_all_measure_are_refused(text):
    with pytest.raises(ValueError, match="`"):
        parse_duration(text)
    with pytest.raises(Fatal):
        validity_days(text)
    with pytest.raises(Fatal):
        age_test(text, "")
    with pytest.raises(Fatal):
        rewind_time(text)
