"""mc in an operator's hands: keys, what they lock, access keys, jobs."""

import json
import re

from mc_shell import until


def test_the_second_guide_as_it_stands(shell):
    shell.run("mb", "kes/guide")
    shell.run("admin", "kms", "key", "create", "kes", "my-minio-sse-kms-key")
    shell.run("encrypt", "set", "sse-kms", "my-minio-sse-kms-key", "kes/guide")
    assert "with KeyID: my-minio-sse-kms-key" in shell.run("encrypt", "info", "kes/guide")
    (shell.folder / "f").write_text("x")
    shell.run("cp", "f", "kes/guide/f")
    out = shell.run("stat", "kes/guide/f")
    assert "Encryption: SSE-KMS (arn:aws:kms:my-minio-sse-kms-key)" in out
    assert "  X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id: arn:aws:kms:my-minio-sse-kms-key" in out
    shell.run("encrypt", "clear", "kes/guide")
    shell.run("encrypt", "info", "kes/guide", code=1)
    assert "Summary:" in shell.run("admin", "service", "restart", "my")


def test_a_disabled_key_locks_its_objects(shell):
    shell.run("admin", "kms", "key", "create", "kes", "lockable")
    shell.run("mb", "kes/locked")
    shell.run("encrypt", "set", "sse-kms", "lockable", "kes/locked")
    (shell.folder / "f").write_text("secret\n")
    shell.run("cp", "f", "kes/locked/f")
    assert shell.run("cat", "kes/locked/f") == "secret\n"
    shell.run("admin", "kms", "key", "disable", "kes", "lockable")
    out = until(lambda: shell.run_any("cat", "kes/locked/f"), lambda found: found[0] == 1)
    assert "the specified KMS key is not enabled" in out[1]
    shell.run("admin", "kms", "key", "enable", "kes", "lockable")
    assert until(lambda: shell.run_any("cat", "kes/locked/f"), lambda found: found[0] == 0)[1] == "secret\n"
    shell.run("admin", "kms", "key", "rotate", "kes", "lockable")
    info = shell.run("admin", "kms", "key", "info", "kes", "lockable")
    assert re.search(r"State +│ enabled", info)
    assert re.search(r"Versions:\n.*\n│ Version ", info)


def test_what_a_key_protects(shell):
    shell.run("admin", "kms", "key", "create", "kes", "counted")
    shell.run("mb", "--with-versioning", "kes/counted")
    shell.run("encrypt", "set", "sse-kms", "counted", "kes/counted")
    shell.run("pipe", "kes/counted/f", stdin=b"secret")
    shell.run("pipe", "kes/counted/f", stdin=b"again")
    out = shell.run("admin", "kms", "key", "usage", "kes", "counted")
    assert re.search(r"counted +│ 1 +│ 2 +│ 11 B +│ yes", out)
    assert "Key `counted` protects 1 object, 2 versions, 11 B, in 1 bucket." in out
    shell.run("rm", "-r", "--force", "--versions", "kes/counted")
    shell.run("encrypt", "clear", "kes/counted")
    out = shell.run("admin", "kms", "key", "usage", "kes", "counted")
    assert out == "Key `counted` protects 0 objects, 0 versions, 0 B, in 0 buckets.\n"


def test_access_keys(shell):
    shell.run("admin", "user", "add", "my", "carol", "carolsecret")
    shell.run("admin", "policy", "attach", "my", "readwrite", "--user", "carol")
    made = json.loads(shell.run("--json", "admin", "accesskey", "create", "my", "carol"))
    shell.environ["MC_HOST_sub"] = f"http://{made['accessKey']}:{made['secretKey']}@127.0.0.1:{shell.ports['my']}"
    shell.run("mb", "sub/carols")
    assert made["accessKey"] in shell.run("admin", "accesskey", "ls", "my", "carol")
    assert "carol" in shell.run("admin", "accesskey", "info", "my", made["accessKey"])
    shell.run("admin", "accesskey", "disable", "my", made["accessKey"])
    shell.run("ls", "sub", code=1)
    shell.run("admin", "accesskey", "rm", "my", made["accessKey"])


def test_a_job_from_its_template_to_its_end(shell):
    shell.run("admin", "kms", "key", "create", "kes", "job-key")
    shell.run("mb", "kes/jobs")
    for name in ("p/a", "p/b", "q"):
        shell.run("pipe", f"kes/jobs/{name}", stdin=b"plain")
    text = shell.run("batch", "generate", "kes", "keyrotate")
    filled = {"BUCKET": "jobs", "PREFIX": "p/", "key: KEY ": "key: job-key ", "# plaintextO": "plaintextO"}
    for old, new in filled.items():
        assert old in text
        text = text.replace(old, new)
    (shell.folder / "job.yaml").write_text(text)
    job = json.loads(shell.run("--json", "batch", "start", "kes", "job.yaml"))["result"]["id"]
    assert until(lambda: shell.run("batch", "status", "kes", job), lambda out: "complete" in out).count("│ 2 ") == 1
    assert job in shell.run("batch", "list", "kes")
    assert "bucket: jobs" in shell.run("batch", "describe", "kes", job)
    assert "SSE-KMS (arn:aws:kms:job-key)" in shell.run("stat", "kes/jobs/p/b")
    assert "Encryption" not in shell.run("stat", "kes/jobs/q")
    assert shell.run("cat", "kes/jobs/p/a") == "plain"
    shell.run("batch", "cancel", "kes", job)
    shell.run("batch", "status", "kes", "no-such-job", code=1)
    assert "NotImplemented" in shell.run("batch", "generate", "kes", "expire", code=1)


def test_what_we_do_not_have_says_so(shell):
    for words in (["sql", "my/b"], ["admin", "heal", "my"], ["admin", "decommission", "my"], ["support", "diag", "my"]):
        assert "NotImplemented" in shell.run(*words, code=1)


def test_objects_sealed_twice(shell):
    shell.run("admin", "kms", "key", "create", "kes", "twice")
    shell.run("mb", "kes/layers")
    (shell.folder / "f").write_text("secret")
    shell.run("cp", "--enc-dsse", "kes/layers/by-flag=twice", "f", "kes/layers/by-flag")
    shell.run("encrypt", "set", "dsse-kms", "twice", "kes/layers")
    assert "'dsse-kms' is enabled with KeyID: twice" in shell.run("encrypt", "info", "kes/layers")
    shell.run("cp", "f", "kes/layers/by-default")
    for name in ("by-flag", "by-default"):
        assert "Encryption: DSSE-KMS (arn:aws:kms:twice)" in shell.run("stat", f"kes/layers/{name}")
        assert shell.run("cat", f"kes/layers/{name}") == "secret"
