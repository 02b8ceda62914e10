"""mc admin service restart --wait: what is waited for."""

import socket
from types import SimpleNamespace

from strongroom.cli.mc import admin_service


def test_a_worker_of_the_old_server_that_still_answers_is_not_the_new_server(monkeypatch):
    old, new = socket.socketpair(), socket.socketpair()
    watches, asked = [old[0], new[0]], []
    monkeypatch.setattr(admin_service, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(admin_service, "_watch", lambda url: watches.pop(0))

    def ready(desk):
        asked.append(desk)
        old[1].close()  # it answers, and goes right after
        return True

    monkeypatch.setattr(admin_service, "_ready", ready)
    admin_service._until_ready(SimpleNamespace(alias=SimpleNamespace(url="http://127.0.0.1:9000")))
    assert watches == []  # the second connection was kept: the new server
    assert len(asked) == 3
    new[1].close()
