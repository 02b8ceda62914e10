import os

import pytest

from strongroom.chain.folder import Address, Chain, Folder, write_file
from strongroom.chain.up import Wish, prepare
from strongroom.errors import BadSettings

CHAIN = Chain("127.0.0.1:8200", "127.0.0.1:7373", "127.0.0.1:9000", True, "strongroom")


@pytest.mark.parametrize(
    ("text", "listen", "port", "url"),
    [
        ("127.0.0.1:9000", "127.0.0.1", 9000, "https://127.0.0.1:9000"),
        (":9000", "0.0.0.0", 9000, "https://127.0.0.1:9000"),
        ("[::1]:9000", "::1", 9000, "https://[::1]:9000"),
        ("example.org:1", "example.org", 1, "https://example.org:1"),
    ],
)
def test_address(text, listen, port, url):
    address = Address.parse(text, "--s3")
    assert (address.listen, address.port, address.url()) == (listen, port, url)


@pytest.mark.parametrize("text", ["", "9000", "host:", "host:x", "host:0", "host:65536"])
def test_bad_address_names_the_option(text):
    with pytest.raises(BadSettings, match="--s3"):
        Address.parse(text, "--s3")


def test_a_new_folder_is_private_and_remembers_its_chain(tmp_path):
    folder = Folder(tmp_path / "new")
    assert folder.load() is None
    folder.make(CHAIN)
    assert folder.load() == CHAIN
    assert os.stat(folder.path).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("what", ["file", "foreign", "open", "damaged"])
def test_a_folder_that_is_something_else_is_refused(tmp_path, what):
    path = tmp_path / "it"
    if what == "file":
        path.write_text("x")
    else:
        path.mkdir(mode=0o700)
        (path / ("photo.jpg" if what == "foreign" else "strongroom.json")).write_text("{")
    if what == "open":
        path.chmod(0o755)
    with pytest.raises(BadSettings) as refusal:
        Folder(path).load()
    assert str(path) in str(refusal.value)


def test_two_ups_cannot_share_a_folder(tmp_path):
    folder = Folder(tmp_path / "it")
    folder.make(CHAIN)
    descriptor = folder.lock()
    with pytest.raises(BadSettings, match="another"):
        folder.lock()
    os.close(descriptor)
    os.close(folder.lock())


def test_a_secret_file_is_private_and_whole(tmp_path):
    path = tmp_path / "secret"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_a_start_that_was_cut_off_at_once_can_be_repeated(tmp_path):
    folder = Folder(tmp_path / "it")
    folder.path.mkdir(mode=0o700)
    (folder / "strongroom.json.new").write_text("{")
    assert folder.load() is None
    folder.make(CHAIN)
    assert folder.load() == CHAIN


def test_a_wrong_option_leaves_a_folder_that_the_right_one_can_use(tmp_path):
    folder = Folder(tmp_path / "it")
    folder.make(CHAIN)
    with pytest.raises(BadSettings, match="root-password-file"):
        prepare(folder, CHAIN, Wish(root_password_file=str(tmp_path / "none")))
    assert folder.load() == CHAIN
    assert prepare(folder, CHAIN, Wish()).keys() == {"admin", "s3"}
