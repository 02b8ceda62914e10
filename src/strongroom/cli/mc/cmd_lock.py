"""mc retention and mc legalhold (mc.md 9.14)."""

from datetime import UTC, datetime, timedelta

from strongroom.cli.mc.cmd_tag import name_of, places
from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import long_duration, moment, rfc3339
from strongroom.cli.mc.metadata import validity, validity_days
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3_errors import NoSuchConfiguration
from strongroom.sdk.s3_xml import Node, element, parse, writer

BYPASS = [("X-Amz-Bypass-Governance-Retention", "true")]


def _lock(target: Remote) -> Node | None:
    """Return the bucket's object-lock configuration, None when it has none."""
    try:
        root = parse(target.client.get_config(target.bucket, "object-lock"))
    except NoSuchConfiguration:
        return None
    return root if root.get("ObjectLockEnabled") == "Enabled" else None


def _target(shell: Shell, line: Line, operation: str) -> Remote:
    return shell.remote(line.args[-1], "Unable to parse input arguments.", operation)


def _locked(target: Remote, word: str) -> Node:
    try:
        found = _lock(target)
    except Error as error:
        raise Fatal(f"Unable to get bucket lock configuration from `{word}`", error) from error
    if found is None:
        raise Fatal(f"Remote bucket `{word}` does not support locking")
    return found


def _mode(line: Line) -> tuple[str, str]:
    mode = line.args[0].upper()
    if mode not in {"GOVERNANCE", "COMPLIANCE"}:
        raise Fatal(f"invalid retention mode '{mode}'", INVALID)
    validity(line.args[1])
    return mode, line.args[1]


# ---- retention of a bucket ----


def _default(shell: Shell, op: str, mode: str, term: str) -> None:
    text = f"Object locking '{mode}' is configured for {term}." if mode else "Object locking is not enabled."
    if op == "clear":
        text = "Object lock configuration cleared successfully."
    record = {"op": op, "enabled": "Enabled", "mode": mode, "validity": term or "0", "status": "success"}
    shell.console.say(record, text, "ok")


def _configuration(mode: str = "", term: str = "") -> bytes:
    rule: list[str] = []
    if mode:
        count, unit = validity(term)
        held = element("DefaultRetention", [element("Mode", mode), element(unit.capitalize(), str(count))])
        rule = [element("Rule", [held])]
    return writer("ObjectLockConfiguration")(element("ObjectLockEnabled", "Enabled"), *rule)


def retention_set(shell: Shell, line: Line) -> None:
    """mc retention set MODE VALIDITY TARGET."""
    mode, term = _mode(line)
    target = _target(shell, line, "PutObjectRetention")
    if line.on("default"):
        try:
            target.client.put_config(target.bucket, "object-lock", _configuration(mode, term))
        except Error as error:
            raise Fatal("Unable to apply object lock configuration on the specified bucket.", error) from error
        count, unit = validity(term)
        _default(shell, "set", mode, f"{count}{unit}")
        return
    until = (datetime.now(UTC) + timedelta(days=validity_days(term))).replace(microsecond=0)
    body = writer("Retention")(element("Mode", mode), element("RetainUntilDate", rfc3339(until)))
    _apply(shell, line, target, body, "set", mode, BYPASS if line.on("bypass") else [])


def retention_clear(shell: Shell, line: Line) -> None:
    """mc retention clear TARGET."""
    target = _target(shell, line, "PutObjectRetention")
    if line.on("default"):
        _locked(target, line.args[-1])
        try:
            target.client.put_config(target.bucket, "object-lock", _configuration())
        except Error as error:
            raise Fatal("Unable to clear object lock configuration on the specified bucket.", error) from error
        _default(shell, "clear", "", "")
        return
    _apply(shell, line, target, b"<Retention></Retention>", "clear", "", BYPASS)


def _apply(shell: Shell, line: Line, target: Remote, body: bytes, op: str, mode: str,
           headers: list[tuple[str, str]]) -> None:  # fmt: skip
    _locked(target, line.args[-1])
    for place, version in places(target, line):
        try:
            target.client.put_config(place.bucket, "retention", body, place.key, version, headers)
        except Error as error:
            shell.console.error(f"Unable to {op} object retention on `{place.name}`.", place.failure(error))
            continue
        record = {"op": op, "mode": mode, "validity": "", "urlpath": place.name, "versionID": version,
                  "status": "success", "error": None}  # fmt: skip
        done = "cleared" if op == "clear" else "set"
        shown = f"`{place.name}`{f' (version-id={version})' if version else ''}"
        shell.console.say(record, f"Object retention successfully {done} for {shown}.", "ok")


def retention_info(shell: Shell, line: Line) -> None:
    """mc retention info TARGET."""
    target = _target(shell, line, "GetObjectRetention")
    root = _locked(target, line.args[-1])
    if line.on("default"):
        held = root.find("Rule/DefaultRetention") or Node("")
        days, years = held.get("Days"), held.get("Years")
        _default(shell, "info", held.get("Mode"), f"{days}DAYS" if days else f"{years}YEARS" if years else "")
        return
    for place, version in places(target, line):
        try:
            found = parse(target.client.get_config(place.bucket, "retention", place.key, version))
            mode, until = found.get("Mode"), found.get("RetainUntilDate")
        except NoSuchConfiguration:
            mode = until = ""
        except Error as error:
            shell.console.error(f"Unable to get object retention on `{place.name}`.", place.failure(error))
            continue
        _show_retention(shell, place, version, mode, until)


def _show_retention(shell: Shell, place: Remote, version: str, mode: str, until: str) -> None:
    record = {"mode": mode, "until": until or "0001-01-01T00:00:00Z", "urlpath": place.name, "versionID": version,
              "status": "success", "error": None}  # fmt: skip
    left = (moment(until) - datetime.now(UTC)).total_seconds() if until else 0
    when = f", expiring in {_minutes(left)}" if left > 0 else ", expired" if until else ""
    lines = [f"Name    : {place.name}", *([f"Version : {version}"] if version else [])]
    lines.append(f"Mode    : {mode or 'NO RETENTION'}{when}")
    shell.console.say(record, "\n".join(lines))


def _minutes(seconds: float) -> str:
    """Write days, hours and minutes only."""
    text = long_duration(int(seconds) // 60 * 60)
    return text.removesuffix(" 0 seconds") if " " in text.removesuffix(" 0 seconds") else text


# ---- legal hold ----


def _hold(shell: Shell, line: Line) -> Remote:
    target = _target(shell, line, "PutObjectLegalHold")
    try:
        locked = _lock(target)
    except Error as error:
        raise Fatal(f"Unable to get bucket lock configuration from `{line.args[-1]}`", error) from error
    if locked is None:
        raise Fatal("Bucket lock needs to be enabled in order to use this feature.")
    return target


def _set_hold(shell: Shell, line: Line, state: str, done: str) -> None:
    target = _hold(shell, line)
    body = writer("LegalHold")(element("Status", state))
    for place, version in places(target, line):
        try:
            target.client.put_config(place.bucket, "legal-hold", body, place.key, version)
        except Error as error:
            shell.console.error(f"Failed to set legal hold on `{place.name}`.", place.failure(error))
            continue
        name = name_of(place, target)
        suffix = f" (version-id={version})" if version else ""
        shell.console.say(_hold_record(place, name, version, state),
                          f"Object legal hold successfully {done} for `{name}`{suffix}.", "ok")  # fmt: skip


def _hold_record(place: Remote, name: str, version: str, state: str) -> dict[str, object]:
    return {"legalhold": state, "urlpath": place.url, "key": name, "versionID": version, "status": "success"}


def legalhold_set(shell: Shell, line: Line) -> None:
    """mc legalhold set TARGET."""
    _set_hold(shell, line, "ON", "set")


def legalhold_clear(shell: Shell, line: Line) -> None:
    """mc legalhold clear TARGET."""
    _set_hold(shell, line, "OFF", "cleared")


def legalhold_info(shell: Shell, line: Line) -> None:
    """mc legalhold info TARGET."""
    target = _hold(shell, line)
    for place, version in places(target, line):
        try:
            state = parse(target.client.get_config(place.bucket, "legal-hold", place.key, version)).get("Status")
        except NoSuchConfiguration:
            state = "OFF"
        except Error as error:
            shell.console.error(f"Failed to show legal hold information of `{place.name}`.", place.failure(error))
            continue
        name = name_of(place, target)
        shown = shell.console.paint(state, "good") if state == "ON" else state
        pad = 10 - len(state) - 4
        cell = "    " + shown + " " * max(pad, 0)
        text = f"[{cell}]  {name}" + (f" (version-id={version})" if version else "")
        shell.console.say(_hold_record(place, name, version, state), text)
