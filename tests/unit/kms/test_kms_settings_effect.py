"""Every name that a configuration may have either does something or is a warning."""

import json
import ssl

import pytest
from kms_replay import ask, post, unsealed

from strongroom.config.kms import kms_settings
from strongroom.errors import BadSettings
from strongroom.kms.domain.lockouts import LockoutRule
from strongroom.kms.handlers.lockout import Lockouts
from strongroom.kms.handlers.passwords import Passwords
from strongroom.kms.outside.logs import LogFile, open_log
from strongroom.kms.settings import Settings

TCP = 'listener "tcp" {{ tls_disable = true\n{} }}\n'


def read(tmp_path, text, environment=None):
    path = tmp_path / "kms.hcl"
    path.write_text(text if "listener" in text else text + TCP.format(""))
    return kms_settings([str(path)], environment or {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ui = true", "kms.hcl:2: ui has no effect: there are no pages"),
        ("cache_size = 5", "kms.hcl:2: cache_size has no effect"),
        ('ha_storage "raft" { path = "x" }', "kms.hcl:2: ha_storage has no effect"),
        ('service_registration "consul" {}', None),
        ('service_registration "consul" { address = "x" }', "service_registration has no effect"),
        ('telemetry { statsd_address = "x" }', "telemetry statsd_address has no effect"),
        (
            'seal "transit" {\n address = "a"\n key_name = "k"\n tls_server_name = "x" }',
            "seal transit: tls_server_name has",
        ),
        (TCP.format('cluster_address = "127.0.0.1:1"'), "kms.hcl:2: cluster_address has no effect"),
        (TCP.format("profiling { unauthenticated_pprof_access = true }"), "profiling has no effect"),
        (TCP.format('tls_min_version = "tls10"'), "tls_min_version tls10: TLS 1.2 is the oldest version here"),
        ("ui = false\ndisable_clustering = true\ntelemetry { disable_hostname = true }", None),
        ('disable_cache = false\nraw_storage_endpoint = 0\ncluster_addr = "https://a:1"', None),
    ],
)
def test_a_name_without_effect_is_a_warning(tmp_path, text, said):
    found = read(tmp_path, f'storage "inmem" {{}}\n{text}\n').warnings
    if said is None:
        assert found == ()
    else:
        assert said in found[0]


def test_a_server_without_a_listener_says_so(tmp_path):
    assert "no listener" in read(tmp_path, '# listener\nstorage "inmem" {}\n').warnings[0]


def test_members_of_a_storage_without_effect_are_warnings(tmp_path):
    found = read(
        tmp_path, 'storage "postgresql" {\n connection_url = "u"\n ha_enabled = "true"\n max_parallel = 4\n}\n'
    )
    assert [warning.partition(": ")[2] for warning in found.warnings] == [
        "storage postgresql: max_parallel has no effect"
    ]


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ('tls_max_version = "tls11"', "tls_max_version 'tls11': write"),
        ('tls_min_version = "tls13"\n tls_max_version = "tls12"', "tls_min_version is greater"),
        ('tls_cipher_suites = "TLS_NULL"', "no suite 'TLS_NULL'; write such as TLS_ECDHE"),
    ],
)
def test_tls_settings_that_cannot_be(tmp_path, member, said):
    with pytest.raises(BadSettings, match=said):
        read(tmp_path, 'storage "inmem" {}\n' + TCP.format(member))


def test_cipher_suites_are_said_in_openssl_s_words(tmp_path):
    names = [
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_AES_128_GCM_SHA256",
    ]
    member = f'tls_cipher_suites = "{",".join(names)}"\n http_write_timeout = "20s"\n tls_max_version = "tls12"'
    listener = read(tmp_path, 'storage "inmem" {}\n' + TCP.format(member)).listeners[0]
    wanted = listener.tls_cipher_suites.split(":")
    assert wanted[:2] == ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(listener.tls_cipher_suites)
    known = [suite["name"] for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"]
    assert sorted(known) == sorted(wanted)
    assert (listener.tls_max_version, listener.http_write_timeout) == ("1.2", 20)


def test_lockout_by_stanza_and_environment(tmp_path):
    text = (
        'storage "inmem" {}\nuser_lockout "userpass" { lockout_threshold = "3" }\n'
        'user_lockout "all" { lockout_duration = "10m" lockout_threshold = 25 lockout_counter_reset = 60 }\n'
    )
    found = read(tmp_path, text)
    assert found.user_lockout == {"all": LockoutRule(25, 600, 60), "userpass": LockoutRule(3, 600, 60)}
    assert found.warnings == ()
    off = read(tmp_path, text, {"VAULT_DISABLE_USER_LOCKOUT": "true"})
    assert off.user_lockout == {"all": LockoutRule(disabled=True)}
    with pytest.raises(BadSettings, match="write all, approle or userpass"):
        read(tmp_path, 'storage "inmem" {}\nuser_lockout "ldap" {}\n')


def test_failures_are_forgotten_and_locks_end_when_the_rule_says():
    lockouts, rule = Lockouts(), LockoutRule(2, 100, 10)
    lockouts.failed("m", "ann", 0, rule)
    assert not lockouts.locked("m", "ann", 10, rule)
    lockouts.failed("m", "ann", 10, rule)
    assert not lockouts.locked("m", "ann", 11, rule)
    lockouts.failed("m", "ann", 12, rule)
    assert lockouts.locked("m", "ann", 111, rule)
    assert not lockouts.locked("m", "ann", 112, rule)
    off = LockoutRule(disabled=True)
    lockouts.failed("m", "bob", 0, off)
    assert not lockouts.locked("m", "bob", 0, off)


async def test_a_mount_is_tuned_to_another_lockout(tmp_path):
    replay = await unsealed(tmp_path)
    replay.core.passwords = Passwords(lambda password, salt: password.encode())
    root = replay.known["root"]
    await ask(replay, "POST", "sys/auth/userpass", {"type": "userpass"})
    await ask(replay, "POST", "auth/userpass/users/ann", {"password": "right"})

    async def tune(mount, wish):
        return await post(replay, f"sys/auth/{mount}/tune", {"user_lockout_config": wish}, root)

    async def fails(count):
        return [(await post(replay, "auth/userpass/login/ann", {"password": "wrong"}))[0] for _ in range(count)]

    assert (await tune("userpass", {"lockout_threshold": "2", "lockout_duration": "1m"}))[0] == 204
    shown = (await ask(replay, "GET", "sys/auth"))["data"]["userpass/"]["config"]["user_lockout_config"]
    assert shown == {
        "user_lockout_counter_reset_duration": 0,
        "user_lockout_disable": False,
        "user_lockout_duration": 60,
        "user_lockout_threshold": 2,
    }
    assert await fails(3) == [400, 400, 403]
    assert (await tune("userpass", {"lockout_disable": True}))[0] == 204
    assert await fails(7) == [400] * 7
    number = 'unable to parse user lockout threshold: strconv.ParseUint: parsing "x": invalid syntax'
    assert await tune("userpass", {"lockout_threshold": "x"}) == (400, {"errors": [number]})
    assert await tune("userpass", {"lockout_duration": "x"}) == (400, {"errors": ['time: invalid duration "x"']})
    assert (await tune("userpass", {"lockout_disable": "maybe"}))[1] == {
        "errors": ["unable to convert given user lockout config information"]
    }
    assert (await tune("token", {"lockout_threshold": 3}))[1] == {
        "errors": ['tuning of user lockout configuration for auth type "token" not allowed']
    }


def test_a_log_of_json_lines_in_a_file(tmp_path):
    path = tmp_path / "kms.log"
    log, file = open_log(Settings(log_file=str(path), log_format="json", log_level="warn"))
    log.info("not of this level")
    log.warn('said "so"', path="a")
    line = json.loads(path.read_text())
    assert (line["@level"], line["@message"], line["path"]) == ("warn", 'said "so"', "a")
    assert path.stat().st_mode & 0o777 == 0o600
    path.rename(tmp_path / "old.log")
    file.reopen()
    log.warn("again")
    assert "again" in path.read_text()
    for wrong in ({"log_level": "loud"}, {"log_format": "xml"}, {"log_file": "/nowhere/x.log"}):
        with pytest.raises(BadSettings, match=next(iter(wrong))):
            open_log(Settings(**wrong))


@pytest.mark.parametrize(("keep", "left"), [(0, 4), (2, 2), (-1, 0)])
def test_a_log_file_is_put_aside_when_it_is_long_or_old(tmp_path, keep, left):
    now = [1000.0]
    file = LogFile(tmp_path / "kms.log", limit=20, age=60, keep=keep, clock=lambda: now[0])
    for text in ("a" * 30, "b" * 30, "c" * 30):
        now[0] += 1
        file.write(text)
        file.write("\n")
    now[0] += 61
    file.write("old\n")
    file.flush()
    (tmp_path / "kms-notes.log").write_text("not ours")
    assert len(file.put_aside()) == left
    assert (tmp_path / "kms.log").read_text() == ""
    if left == 2:
        assert [path.read_text()[0] for path in file.put_aside()] == ["c", "o"]
