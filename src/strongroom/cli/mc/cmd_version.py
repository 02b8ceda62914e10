"""mc version (mc.md 9.12)."""

from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.shell import Shell
from strongroom.errors import Error
from strongroom.sdk.s3_xml import element, parse, writer

WORDS = {"Enabled": "versioning is enabled", "Suspended": "versioning is suspended", "": "is un-versioned"}


def _say(shell: Shell, op: str, word: str, status: str, shown: dict[str, object]) -> None:
    record = {"Op": op, "status": "success", "url": word, "versioning": shown}
    shell.console.say(record, f"{word} {WORDS.get(status, status)}", "ok")


def _put(shell: Shell, line: Line, op: str, status: str, extra: list[str], failed: str) -> None:
    word = line.args[0]
    target = shell.remote(word, failed, "SetVersion")
    body = writer("VersioningConfiguration")(element("Status", status), *extra)
    try:
        target.client.put_config(target.bucket, "versioning", body)
    except Error as error:
        raise Fatal(failed, error) from error
    _say(shell, op, word, status, {"status": "", "MFADelete": ""})


def enable(shell: Shell, line: Line) -> None:
    """mc version enable TARGET."""
    prefixes = [each.strip() for each in line.text("excluded-prefixes").split(",") if each.strip()]
    extra = [element("ExcludedPrefixes", [element("Prefix", each)]) for each in prefixes]
    if line.on("exclude-folders"):
        extra.append(element("ExcludeFolders", "true"))
    _put(shell, line, "enable", "Enabled", extra, "Unable to enable versioning")


def suspend(shell: Shell, line: Line) -> None:
    """mc version suspend TARGET."""
    _put(shell, line, "suspend", "Suspended", [], "Unable to suspend versioning")


def info(shell: Shell, line: Line) -> None:
    """mc version info TARGET."""
    word = line.args[0]
    target = shell.remote(word, "Unable to get versioning info", "GetVersion")
    try:
        root = parse(target.client.get_config(target.bucket, "versioning"))
    except Error as error:
        raise Fatal("Unable to get versioning info", error) from error
    status = root.get("Status")
    shown: dict[str, object] = {"status": status, "MFADelete": root.get("MfaDelete")}
    prefixes = [node.text for node in root.all("ExcludedPrefixes/Prefix")]
    if prefixes:
        shown["ExcludedPrefixes"] = prefixes
    if root.get("ExcludeFolders") == "true":
        shown["ExcludeFolders"] = True
    _say(shell, "info", word, status, shown)
