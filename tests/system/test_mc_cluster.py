"""`mc admin cluster bucket|iam export|import`, and `mc import` from their files: from one server to a fresh one."""

import base64
import json
import os
import re
import stat
import zipfile

import pytest
from mc_shell import McShell
from s3_process import S3Process

POLICY = {"Version": "2012-10-17",
          "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}]}  # fmt: skip


@pytest.fixture(scope="module")
def filled(mc_servers, tmp_path_factory):
    """Give `kes` people and buckets."""
    shell = McShell(tmp_path_factory.mktemp("cluster"), mc_servers)
    (shell.folder / "policy.json").write_text(json.dumps(POLICY))
    run = shell.run
    run("admin", "policy", "create", "kes", "look", "policy.json")
    for name in ("anna", "bert"):
        run("admin", "user", "add", "kes", name, f"{name}-secret")
    run("admin", "user", "disable", "kes", "bert")
    run("admin", "group", "add", "kes", "team", "anna", "bert")
    run("admin", "policy", "attach", "kes", "look", "readonly", "--user", "anna")
    run("admin", "policy", "attach", "kes", "writeonly", "--group", "team")
    run("admin", "accesskey", "create", "kes", "anna", "--access-key", "annakey", "--secret-key", "anna-key-secret",
        "--name", "n", "--expiry-duration", "24h")  # fmt: skip
    run("mb", "--with-lock", "kes/locked")
    run("mb", "--with-versioning", "kes/kept")
    run("mb", "kes/bare")
    run("retention", "set", "--default", "governance", "30d", "kes/locked")
    run("encrypt", "set", "sse-kms", "k1", "kes/kept")
    run("ilm", "rule", "add", "--expire-days", "9", "kes/kept")
    run("tag", "set", "kes/kept", "a=b&c=d")
    run("anonymous", "set", "download", "kes/kept")
    run("quota", "set", "kes/kept", "--size", "10MiB")
    run("version", "suspend", "kes/bare")
    return shell


@pytest.fixture
def fresh(filled, tmp_path):
    """A server without anything, as the alias `fresh`; its only key is called k1."""
    key = base64.b64encode(b"k" * 32).decode()
    server = S3Process(tmp_path / "data", MINIO_KMS_SECRET_KEY=f"k1:{key}", MINIO_KMS_AUTO_ENCRYPTION="off").start()
    filled.ports["fresh"] = server.port
    filled.environ["MC_HOST_fresh"] = f"http://minio:minio123@127.0.0.1:{server.port}"
    yield server
    server.stop()


def facts(shell, alias):
    """Return what both servers must say alike."""
    run = shell.run
    found = {name: json.loads(run("--json", "admin", "user", "info", alias, name)) for name in ("anna", "bert")}
    found["team"] = json.loads(run("--json", "admin", "group", "info", alias, "team"))
    found["accounts"] = json.loads(run("--json", "admin", "accesskey", "info", alias, "annakey"))
    found["policy"] = json.loads(run("--json", "admin", "policy", "info", alias, "look"))["policyInfo"]["Policy"]
    for bucket in ("kept", "bare", "locked"):
        words = ("version info", "tag list", "anonymous get", "ilm rule ls", "retention info --default", "encrypt info",
                 "quota info")  # fmt: skip
        for each in words:
            code, out = shell.run_any("--json", *each.split(), f"{alias}/{bucket}")
            found[f"{bucket} {each}"] = (code, [json.loads(line) for line in out.splitlines()])
    return without_times(found, alias)


def without_times(value, alias):
    if isinstance(value, dict):
        return {name: without_times(one, alias) for name, one in value.items()
                if not name.lower().startswith(("updated", "requestid", "url", "target", "bucket"))}  # fmt: skip
    if isinstance(value, list | tuple):
        return [without_times(one, alias) for one in value]
    return re.sub(rf"{alias}/|:\d{{5}}", "", value) if isinstance(value, str) else value


def test_a_fresh_server_gets_everything(filled, fresh):
    run = filled.run
    assert "kes-iam-info.zip" in run("admin", "cluster", "iam", "export", "kes")
    assert "cluster-metadata.zip" in run("admin", "cluster", "bucket", "export", "kes")
    for name in ("kes-iam-info.zip", "cluster-metadata.zip"):
        assert stat.S_IMODE(os.stat(filled.folder / name).st_mode) == 0o600
    done = json.loads(run("--json", "admin", "cluster", "iam", "import", "fresh", "kes-iam-info.zip"))["result"]
    assert done["failed"] == []
    assert done["added"]["users"] == ["anna", "bert"]
    done = json.loads(run("--json", "admin", "cluster", "bucket", "import", "fresh", "cluster-metadata.zip"))
    assert {name: one["failed"] for name, one in done["result"]["buckets"].items()} == {
        "bare": {}, "kept": {}, "locked": {}}  # fmt: skip
    assert facts(filled, "fresh") == facts(filled, "kes")
    filled.environ["MC_HOST_anna"] = f"http://annakey:anna-key-secret@127.0.0.1:{filled.ports['fresh']}"
    run("pipe", "fresh/bare/x", stdin=b"seen")
    assert run("cat", "anna/bare/x") == "seen"
    again = json.loads(run("--json", "admin", "cluster", "iam", "import", "fresh", "kes-iam-info.zip"))["result"]
    assert again == {**again, "failed": []}


def test_our_import_takes_the_same_files(filled, fresh):
    run = filled.run
    run("admin", "cluster", "iam", "export", "kes", "-o", "iam.zip")
    run("admin", "cluster", "bucket", "export", "kes/kept", "-o", "kept.zip")
    with zipfile.ZipFile(filled.folder / "kept.zip") as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"kept"}
    run("mb", "fresh/other")
    words = ("--iam", "iam.zip", "--bucket-metadata", "kept.zip", "kes", "fresh")
    found = json.loads(run("--json", "import", *words).splitlines()[-1])
    assert (found["failures"], found["differences"]) == ([], [])
    assert facts(filled, "fresh")["anna"] == facts(filled, "kes")["anna"]


def test_what_cannot_be_is_said_and_the_rest_goes_on(filled, fresh):
    with zipfile.ZipFile(filled.folder / "bad.zip", "w") as archive:
        archive.writestr("iam-assets/users.json", json.dumps({"short": {"secretKey": "x"}, "minio": {},
                                                              "carl": {"secretKey": "carl-secret"}}))  # fmt: skip
        archive.writestr("iam-assets/user_mappings.json", json.dumps({"carl": {"policy": "none-such"}}))
        archive.writestr(
            "iam-assets/svcaccts.json", json.dumps({"lost": {"parent": "nobody", "secretKey": "12345678"}})
        )
        archive.writestr(
            "newb/versioning.xml", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        )
        archive.writestr("newb/policy.json", "{")
        archive.writestr("newb/bucket-targets.json", "{}")
    out = filled.run("admin", "cluster", "iam", "import", "fresh", "bad.zip", code=1)
    for text in ("users short:", "user_mappings carl:", "svcaccts lost:"):
        assert f"Failed: {text}" in out
    assert "carl" in filled.run("admin", "user", "list", "fresh")
    out = filled.run("admin", "cluster", "bucket", "import", "fresh", "bad.zip", code=1)
    assert "Failed: newb: policy.json:" in out
    assert "Failed: newb: bucket-targets.json: it is not known here" in out
    assert "enabled" in filled.run("version", "info", "fresh/newb")
    (filled.folder / "none.zip").write_bytes(b"no archive")
    assert "no archive" in filled.run("admin", "cluster", "iam", "import", "fresh", "none.zip", code=1)


def test_only_those_who_may_get_the_secrets(filled):
    filled.environ["MC_HOST_anna"] = f"http://anna:anna-secret@127.0.0.1:{filled.ports['kes']}"
    assert "Access" in filled.run("admin", "cluster", "iam", "export", "anna", code=1)
    assert "Access" in filled.run("admin", "cluster", "bucket", "export", "anna", code=1)
    assert not (filled.folder / "anna-iam-info.zip").exists()


def test_the_server_prints_its_template(filled):
    text = filled.run("batch", "generate", "kes", "keyrotate")
    assert text.startswith("keyrotate:\n")
    filled.run("batch", "generate", "kes", "expire", code=1)
