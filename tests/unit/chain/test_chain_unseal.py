"""When `up` unseals: once for each process that it started, and never after an operator's seal."""

import pytest

from strongroom.chain import up
from strongroom.chain.folder import Folder
from strongroom.chain.renewal import renew
from strongroom.errors import Unavailable


class Kms:
    """Stands for a set-up whose first steps fail."""

    def __init__(self):
        self.calls = []
        self.failing = ["unseal", "finish"]

    def __call__(self, folder, client):
        return self

    def _do(self, step):
        self.calls.append(step)
        if self.failing and self.failing[0] == step:
            self.failing.pop(0)
            raise Unavailable(step)

    def unseal(self):
        self._do("unseal")

    def finish(self):
        self._do("finish")


def test_an_unseal_is_tried_until_it_succeeds_and_then_no_more(tmp_path, monkeypatch):
    folder, kms = Folder(tmp_path / "data"), Kms()
    chain = up.Chain("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", True, "root")
    folder.make(chain)
    renew(folder, chain)
    monkeypatch.setattr(up, "Setup", kms)
    monkeypatch.setattr(up, "_wait", lambda child, serves: None)
    monkeypatch.setattr(up.settings, "write_kes", lambda *_: None)
    running = up.Up(folder, chain, {}, print)
    child = running.supervisor.child("kms")
    child.process = object()
    for _ in range(2):
        with pytest.raises(Unavailable):
            running._kms_ready(child)
    running._kms_ready(child)
    assert kms.calls == ["unseal", "unseal", "finish", "finish"]
    child.process = object()
    running._kms_ready(child)
    assert kms.calls[4:] == ["unseal", "finish"]
