"""mc encrypt: default encryption of buckets, and of prefixes where the server has it (mc.md 9.13, settled.md s3)."""

from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3_errors import NoSuchConfiguration
from strongroom.sdk.s3_xml import Node, element, parse, writer

ALGORITHMS = {"sse-s3": "AES256", "sse-kms": "aws:kms", "dsse-kms": "aws:kms:dsse"}
FEATURE = "prefix-encryption"
SET, GET, CLEAR = ("Unable to enable auto encryption", "Unable to get encryption info",
                   "Unable to clear auto encryption configuration")  # fmt: skip


def _rule(algorithm: str, key: str, prefix: str) -> str:
    names = [element("KMSMasterKeyID", key)] if key and algorithm.startswith("aws:kms") else []
    inner = element("ApplyServerSideEncryptionByDefault", [*names, element("SSEAlgorithm", algorithm)])
    where = [element("Filter", [element("Prefix", prefix)])] if prefix else []
    return element("Rule", [*where, inner])


def _document(rules: dict[str, tuple[str, str]]) -> bytes:
    """Return the configuration for rules: prefix to (algorithm, key)."""
    return writer("ServerSideEncryptionConfiguration")(
        *(_rule(algorithm, key, prefix) for prefix, (algorithm, key) in sorted(rules.items()))
    )


def _read(root: Node) -> dict[str, tuple[str, str]]:
    found = {}
    for rule in root.all("Rule"):
        held = rule.find("ApplyServerSideEncryptionByDefault") or Node("")
        found[rule.get("Filter/Prefix")] = (held.get("SSEAlgorithm"), held.get("KMSMasterKeyID"))
    return found


def _present(target: Remote) -> dict[str, tuple[str, str]]:
    try:
        return _read(parse(target.client.get_config(target.bucket, "encryption")))
    except NoSuchConfiguration:
        return {}


def _prefix(target: Remote, failed: str) -> str:
    """Return the prefix that rules may be kept for; raise Fatal where the server would take the whole bucket."""
    if not target.key:
        return ""
    features = target.client.head_bucket(target.bucket).get("x-strongroom-features", "")
    if FEATURE not in features.replace(",", " ").split():
        raise Fatal(failed, f"This server encrypts whole buckets only, not the prefix `{target.key}`. "
                            f"Use `{target.alias.name}/{target.bucket}`.")  # fmt: skip
    return target.key


def set_(shell: Shell, line: Line) -> None:
    """mc encrypt set sse-s3|sse-kms|dsse-kms [KEY] TARGET."""
    word, name = line.args[-1], line.args[0].lower()
    if name not in ALGORITHMS:
        raise Fatal("Invalid encryption algorithm", f"Unknown argument `{line.args[0]}` passed")
    key = line.args[1] if len(line.args) == 3 else ""
    target = shell.remote(word, SET, "SetEncryption")
    try:
        prefix = _prefix(target, SET)
        rules = _present(target) if prefix else {}
        rules[prefix] = (ALGORITHMS[name], key)
        target.client.put_config(target.bucket, "encryption", _document(rules))
    except Error as error:
        if isinstance(error, Fatal):
            raise
        raise Fatal(SET, error) from error
    record = {"op": "set", "status": "success", "url": word, "encryption": {"algorithm": name}}
    shell.console.say(record, f"Auto encryption configuration has been set successfully for {word}", "ok")


def info(shell: Shell, line: Line) -> None:
    """mc encrypt info TARGET."""
    word = line.args[0]
    target = shell.remote(word, GET, "GetEncryption")
    try:
        rules = _read(parse(target.client.get_config(target.bucket, "encryption")))
    except Error as error:
        raise Fatal(GET, error) from error
    prefix = max((each for each in rules if target.key.startswith(each)), key=len, default="")
    algorithm, key = rules.get(prefix, ("", ""))
    shown = {name: value for name, value in (("algorithm", algorithm), ("keyId", key)) if value}
    record: dict[str, object] = {"op": "info", "status": "success", "url": word, "encryption": shown}
    if len(rules) > 1 or "" not in rules:
        record["prefixes"] = {each: {"algorithm": kind, "keyId": name} for each, (kind, name) in sorted(rules.items())}
    lines = [_sentence(word, algorithm, key)]
    if not target.key:
        lines += [f"Below `{each}`: {_sentence(word, *rule)}" for each, rule in sorted(rules.items()) if each]
    shell.console.say(record, "\n".join(lines), "ok")


def _sentence(word: str, algorithm: str, key: str) -> str:
    if not algorithm:
        return f"Auto encryption is not enabled for {word} "
    name = next((each for each, value in ALGORITHMS.items() if value == algorithm), algorithm)
    return f"Auto encryption '{name}' is enabled{f' with KeyID: {key}' if key else ''}"


def clear(shell: Shell, line: Line) -> None:
    """mc encrypt clear TARGET."""
    word = line.args[0]
    target = shell.remote(word, CLEAR, "DeleteEncryption")
    try:
        prefix = _prefix(target, CLEAR)
        rules = _present(target) if prefix else {}
        rules.pop(prefix, None)
        if rules:
            target.client.put_config(target.bucket, "encryption", _document(rules))
        else:
            target.client.drop_config(target.bucket, "encryption")
    except Error as error:
        if isinstance(error, Fatal):
            raise
        raise Fatal(CLEAR, error) from error
    record = {"op": "clear", "status": "success", "url": word}
    shell.console.say(record, f"Auto encryption configuration has been cleared successfully for {word}", "ok")
