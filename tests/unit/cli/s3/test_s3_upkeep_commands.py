import asyncio
import json
import os

import pytest

from strongroom.cli.s3.main import main
from strongroom.s3.domain.object_record import ObjectMeta, pack_meta
from strongroom.s3.domain.records import NewVersion
from strongroom.s3.storage.files import open_store


async def fill(folder):
    store = await open_store(folder)
    await store.create_bucket("b")
    for key, size in (("small", 10), ("large", 200_000)):
        staged = store.stage("b", size)
        staged.write(os.urandom(size))
        await store.put("b", NewVersion(key, size, b"e", pack_meta(ObjectMeta())), staged)
    await store.close()


@pytest.fixture
def folder(tmp_path):
    asyncio.run(fill(tmp_path / "data"))
    return tmp_path / "data"


def test_a_sound_folder(folder, capsys):
    assert main(["check", str(folder), "--deep"], "s3") == 0
    told = capsys.readouterr().out
    assert told.startswith("1 buckets, 2 versions, 1 files; tags and locks of encrypted versions: 0 checked, ")
    assert told.endswith("; 0 problems, 0 unneeded files, 0 repaired\n")


def test_a_backup_is_a_server_folder(folder, tmp_path, capsys):
    target = tmp_path / "copy"
    assert main(["backup", str(folder), str(target)], "s3") == 0
    assert main(["check", str(target), "--deep"], "s3") == 0
    assert main(["backup", str(folder), str(target)], "s3") == 1
    assert str(target) in capsys.readouterr().err


def test_damage_is_named(folder, capsys):
    (damaged,) = folder.glob("buckets/*/data/*/*")
    damaged.write_bytes(b"short")
    assert main(["check", str(folder), "--json"], "s3") == 1
    report = json.loads(capsys.readouterr().out)
    assert len(report["problems"]) == 1
    assert "large null" in report["problems"][0]


def test_other_folders_and_words_are_refused(tmp_path, capsys):
    assert main(["check", str(tmp_path)], "s3") == 1
    assert "not the folder of" in capsys.readouterr().err
    assert main(["check"], "s3") == 2
    assert main(["check", "--help"], "s3") == 0


@pytest.mark.parametrize("command", ["server", "check", "backup", "import"])
def test_every_command_has_help_with_an_example(command, capsys):
    assert main([command, "--help"], "s3") == 0
    assert "EXAMPLE" in "".join(capsys.readouterr()).upper()


def test_a_backup_can_be_told_as_json(folder, tmp_path, capsys):
    assert main(["backup", str(folder), str(tmp_path / "copy"), "--json"], "s3") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["buckets"], told["files"]) == (1, 1)
    assert told["stored"] >= 200_000
