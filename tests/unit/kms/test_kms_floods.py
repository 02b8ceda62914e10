"""What anybody may send again and again: it fails as documented and costs no memory."""

import pytest
from kms_replay import post, unsealed

from strongroom.kms.domain.lockouts import DEFAULT
from strongroom.kms.domain.values import parse_duration
from strongroom.kms.handlers.lockout import Lockouts


@pytest.mark.parametrize("text", ["9" * 400, "9" * 5000, "-" + "9" * 400, "1" * 90 + "h", "." * 1000])
def test_a_duration_beyond_reason_is_refused(text):
    with pytest.raises(ValueError, match="time: "):
        parse_duration(text)


async def test_such_a_duration_in_a_header_is_refused(tmp_path):
    replay = await unsealed(tmp_path)
    headers = {"X-Vault-Token": replay.known["root"], "X-Vault-Wrap-TTL": "9" * 4000}
    assert (await replay.request("GET", "/v1/sys/mounts", headers, b"")).status == 400
    assert (await post(replay, "auth/token/create", {"ttl": "9" * 400}, replay.known["root"]))[0] == 400


def test_failed_logins_under_long_names_are_counted_in_little_room():
    lockouts = Lockouts()
    for _ in range(DEFAULT.threshold):
        lockouts.failed("m", "x" * 60_000, 0)
        lockouts.failed("m", "ann", 0)
    assert lockouts.locked("m", "x" * 60_000, 1)
    assert lockouts.locked("m", "ann", 1)
    assert not lockouts.locked("m", "x" * 60_001, 1)
    assert all(len(alias) <= 128 for _, alias in lockouts.all())
    lockouts.succeeded("m", "x" * 60_000)
    assert not lockouts.locked("m", "x" * 60_000, 1)
