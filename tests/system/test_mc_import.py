"""Moving in: a server with a history, copied to another one twice."""

import io
import json
import zipfile

POLICY = {"Version": "2012-10-17",
          "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::*"]}]}  # fmt: skip


def _history(shell):
    """Fill `kes` with what an import has to carry."""
    shell.run("mb", "--with-versioning", "kes/past")
    shell.run("mb", "kes/sealed")
    shell.run("mb", "kes/odd")
    for text in ("one", "two"):
        shell.run("pipe", "kes/past/a/k", stdin=text.encode())
    shell.run("rm", "kes/past/a/k")
    shell.run("pipe", "--attr", "color=red;Cache-Control=no-store", "--tags", "t=1&u=2", "kes/past/b", stdin=b"last")
    shell.run("admin", "kms", "key", "create", "kes", "old-key")
    shell.run("encrypt", "set", "sse-kms", "old-key", "kes/sealed")
    (shell.folder / "big").write_bytes(b"0123456789abcdef" * (1 << 20) + b"!")
    shell.run("cp", "big", "kes/sealed/big")
    shell.run("ilm", "rule", "add", "--expire-days", "9", "kes/past")
    shell.run("anonymous", "set", "download", "kes/odd")
    shell.run("pipe", "kes/odd/ü +%&.txt", stdin=b"")


def _import(shell, *words, code=0):
    return json.loads(shell.run("--json", "import", *words, "kes", "tls", code=code).splitlines()[-1])


def test_a_whole_server(shell):
    _history(shell)
    counted = _import(shell, "--dry-run", "--no-iam")
    assert (counted["buckets"], counted["versions"], counted["deleteMarkers"]) == (3, 6, 1)
    assert "past" not in shell.run("ls", "tls")
    found = _import(shell, "--no-iam", "--map-key", "old-key=my-key")
    assert found["failures"] == []
    assert (found["versions"], found["skipped"], found["differences"]) == (6, 0, [])
    rows = [json.loads(row) for row in shell.run("--json", "ls", "-r", "--versions", "tls/past").splitlines()]
    assert [(row["key"], row.get("isDeleteMarker", False), row["size"]) for row in rows] == [
        ("a/k", True, 0), ("a/k", False, 3), ("a/k", False, 3), ("b", False, 4)]  # fmt: skip
    assert shell.run("cat", "--version-id", rows[2]["versionId"], "tls/past/a/k") == "one"
    stat = json.loads(shell.run("--json", "stat", "tls/past/b"))["metadata"]
    assert (stat["X-Amz-Meta-Color"], stat["Cache-Control"]) == ("red", "no-store")
    assert json.loads(shell.run("--json", "tag", "list", "tls/past/b"))["tagset"] == {"t": "1", "u": "2"}
    assert "arn:aws:kms:my-key" in shell.run("stat", "tls/sealed/big")
    shell.run("cp", "tls/sealed/big", "back")
    assert (shell.folder / "back").read_bytes() == (shell.folder / "big").read_bytes()
    assert "9" in shell.run("ilm", "rule", "ls", "tls/past")
    assert "download" in shell.run("anonymous", "get", "tls/odd")
    assert shell.run("ls", "tls/odd").endswith(" ü +%&.txt\n")
    _again(shell)


def _again(shell):
    """A second run copies only what is new, and tells what the target lacks."""
    shell.run("pipe", "kes/past/new", stdin=b"new")
    found = _import(shell, "--no-iam", "--map-key", "old-key=my-key")
    assert (found["versions"], found["skipped"], found["differences"]) == (1, 6, [])
    assert shell.run("cat", "tls/past/new") == "new"
    shell.run("rm", "tls/past/new")
    found = _import(shell, "--no-iam", "--bucket", "past")
    assert found["differences"] == ["past/new: missing"]


def test_a_retention_that_came_later_is_not_given_to_what_was_there_before(shell):
    shell.run("mb", "--with-lock", "kes/kept-later")
    shell.run("pipe", "kes/kept-later/free", stdin=b"free")
    shell.run("retention", "set", "--default", "governance", "1d", "kes/kept-later")
    shell.run("pipe", "kes/kept-later/kept", stdin=b"kept")
    assert _import(shell, "--no-iam", "--bucket", "kept-later")["failures"] == []
    assert "NO RETENTION" in shell.run("retention", "info", "tls/kept-later/free")
    assert "GOVERNANCE" in shell.run("retention", "info", "tls/kept-later/kept")
    assert "1DAYS" in shell.run("retention", "info", "--default", "tls/kept-later")
    assert "--max-workers" in shell.run("import", "--max-workers", "x", "kes", "tls", code=1)


def test_users_and_policies_from_an_archive(shell):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("iam-assets/policies.json", json.dumps({"look": POLICY, "readonly": POLICY}))
        files.writestr("iam-assets/users.json", json.dumps(
            {"alice": {"secretKey": "alicesecret", "status": "enabled"},
             "carol": {"secretKey": "carolsecret", "status": "disabled"}}))  # fmt: skip
        files.writestr("iam-assets/groups.json", json.dumps({"team": {"members": ["carol"], "status": "enabled"}}))
        files.writestr("iam-assets/user_mappings.json", json.dumps({"alice": {"policy": "look"}}))
        files.writestr("iam-assets/svcaccts.json", json.dumps(
            {"aliceaccount": {"parent": "alice", "secretKey": "accountsecret", "name": "n"}}))  # fmt: skip
    (shell.folder / "iam.zip").write_bytes(archive.getvalue())
    found = _import(shell, "--iam", "iam.zip", "--bucket", "none", code=1)
    assert "does not exist" in found["error"]["message"]
    shell.run("mb", "--ignore-existing", "kes/people")
    found = _import(shell, "--iam", "iam.zip", "--bucket", "people")
    assert found["failures"] == []
    assert found["iam"] == {"policies": 1, "users": 2, "groups": 1, "user_mappings": 1, "svcaccts": 1}
    assert "look" in shell.run("admin", "user", "info", "tls", "alice")
    assert "disabled" in shell.run("admin", "user", "list", "tls")
    assert "aliceaccount" in shell.run("admin", "accesskey", "ls", "tls", "alice")
    shell.environ["MC_HOST_alice"] = f"https://aliceaccount:accountsecret@127.0.0.1:{shell.ports['tls']}"
    shell.run("ls", "alice/people", code=1)
    assert _import(shell, "--iam", "iam.zip", "--bucket", "people")["failures"] == []  # again: nothing is an error
    (shell.folder / "iam.zip").write_bytes(b"no archive")
    _import(shell, "--iam", "iam.zip", "--bucket", "people", code=1)
    shell.run("import", "kes", "kes", code=1)


def test_an_object_under_its_owners_key_stays_behind(shell):
    shell.run("mb", "tls/own")
    (shell.folder / "f").write_text("mine")
    shell.run("cp", "--enc-c", "tls/own/=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "f", "tls/own/f")
    shell.run("cp", "f", "tls/own/g")
    out = shell.run("import", "--no-iam", "--bucket", "own", "tls", "kes", code=1)
    assert "own/f (null): it is under a customer's key (SSE-C): copy it with mc cp --enc-c" in out
    assert "own/f: missing" in out
    assert shell.run("cat", "kes/own/g") == "mine"


def test_policies_of_a_source_that_makes_no_archive(shell):
    (shell.folder / "policy.json").write_text(json.dumps(POLICY))
    shell.run("admin", "policy", "create", "kes", "only-here", "policy.json")
    shell.run("admin", "user", "add", "kes", "dora", "dorasecret")
    shell.run("mb", "kes/for-policies")
    rights = ["admin:ListUserPolicies", "admin:ListUsers", "s3:*"]
    statement = {"Effect": "Allow", "Action": rights[:2]}, {**POLICY["Statement"][0], "Action": rights[2:]}
    (shell.folder / "limited.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    shell.run("admin", "policy", "create", "kes", "limited", "limited.json")
    shell.run("admin", "policy", "attach", "kes", "limited", "--user", "dora")
    shell.environ["MC_HOST_dora"] = f"http://dora:dorasecret@127.0.0.1:{shell.ports['kes']}"
    out = shell.run("--json", "import", "--bucket", "for-policies", "dora", "tls")
    found = json.loads(out.splitlines()[-1])
    assert found["iam"] == {"policies": 2}
    assert found["notes"] == ["users were not imported, the source keeps their secrets: dora (or --iam FILE)"]
    assert "s3:GetObject" in shell.run("admin", "policy", "info", "tls", "only-here")
