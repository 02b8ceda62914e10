"""A first start that is cut off at its two narrow places is finished by the next one."""

from strongroom.chain.first import BEGUN, Setup, Unseal, forget_unfinished
from strongroom.chain.folder import Chain, Folder
from strongroom.sdk.blocking import Answer

CHAIN = Chain("127.0.0.1:8200", "127.0.0.1:7373", "127.0.0.1:9000", True, "strongroom")


def world(tmp_path, *secrets):
    folder = Folder(tmp_path / "it")
    folder.make(CHAIN)
    for name in secrets:
        folder.secret(name).write_text("x")
    for name in ("kms.db", "kms.db-wal", "config.json"):
        (folder / f"kms/{name}").write_text("x")
    return folder


def test_a_kms_whose_share_was_never_kept_begins_anew(tmp_path):
    folder = world(tmp_path, BEGUN)
    forget_unfinished(folder)
    assert [file.name for file in (folder / "kms").iterdir()] == ["config.json"]
    assert not folder.secret(BEGUN).exists()


def test_a_kms_that_got_further_is_never_touched(tmp_path):
    for number, secrets in enumerate(((BEGUN, "unseal"), (BEGUN, "approle"), (BEGUN, "operator-token"), ())):
        folder = world(tmp_path / str(number), *secrets)
        forget_unfinished(folder)
        assert (folder / "kms/kms.db").exists(), secrets
        assert not folder.secret(BEGUN).exists()


class Revoked:
    """A kms that does not know the root token any more."""

    headers: dict[str, str] = {}  # noqa: RUF012

    def ask(self, method, path, body=None, headers=None):
        assert (method, path) == ("GET", "/v1/auth/token/lookup-self")
        return Answer(403, {}, b'{"errors":["permission denied"]}')


def test_a_root_token_that_was_revoked_already_leaves_no_trace(tmp_path):
    folder = world(tmp_path, "operator-token", "approle")
    folder.secret("unseal").write_bytes(Unseal("share", "s.root").to_bytes())
    Setup(folder, Revoked()).finish()
    assert Unseal.from_bytes(folder.secret("unseal").read_bytes()) == Unseal("share")
