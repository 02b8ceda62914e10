import pytest

from strongroom.chain import link
from strongroom.errors import BadSettings


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "strongroom"
    path.write_text("#!/bin/sh\n")
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "bin"
    path.mkdir()
    return path


def test_links_are_written_once_and_removed(folder, target):
    assert [path.name for path in link.write(folder, link.NAMES, target)] == list(link.NAMES)
    link.write(folder, link.NAMES, target)
    assert all((folder / name).resolve() == target for name in link.NAMES)
    assert len(link.remove(folder, link.NAMES, target)) == 5
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["program", "link", "dangling"])
def test_a_foreign_program_is_never_overwritten(folder, target, kind):
    foreign = folder / "mc"
    if kind == "program":
        foreign.write_text("midnight commander")
    else:
        foreign.symlink_to("/bin/sh" if kind == "link" else "/nowhere/mc")
    with pytest.raises(BadSettings, match="another program"):
        link.write(folder, link.NAMES, target)
    assert [path.name for path in folder.iterdir()] == ["mc"]
    assert link.remove(folder, link.NAMES, target) == []


def test_a_missing_folder_is_said(tmp_path, target):
    with pytest.raises(BadSettings, match="mkdir"):
        link.write(tmp_path / "none", link.NAMES, target)
