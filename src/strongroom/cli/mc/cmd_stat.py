"""mc stat (mc.md 9.7): objects with their encryption in the new and the old form, buckets with their properties."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import unquote

from strongroom.cli.mc.encryption import Encryption, encryption
from strongroom.cli.mc.failures import Fatal, missing_object, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import local, moment, rfc3339, size
from strongroom.cli.mc.listing import (
    EPOCH_TEXT,
    Entry,
    Look,
    base_of,
    local_entries,
    local_entry,
    remote_entries,
    rewind_time,
)
from strongroom.cli.mc.metadata import content_type, file_attributes
from strongroom.cli.mc.shell import Local, Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3 import Head
from strongroom.sdk.s3_errors import NoSuchBucket, S3Error

SSE = "x-amz-server-side-encryption"
_DROPPED = ("accept-ranges content-length content-security-policy date etag last-modified server vary connection "
                    "strict-transport-security x-amz-id-2 x-amz-request-id x-content-type-options x-xss-protection "
                    "x-ratelimit-limit x-ratelimit-remaining x-amz-version-id x-amz-checksum-type "
                    "x-amz-delete-marker x-amz-bucket-region "
                    "transfer-encoding keep-alive x-amzn-requestid access-control-allow-origin")  # fmt: skip
APART = ("expires", "x-amz-expiration", "x-amz-restore", "x-amz-replication-status")  # have lines of their own
DROPPED = frozenset((*_DROPPED.split(), *APART))


def canonical(name: str) -> str:
    """Return a header's name as Go writes it."""
    return "-".join(word.capitalize() for word in name.split("-"))


def stat(shell: Shell, line: Line) -> None:
    """mc stat TARGET..."""
    rules = encryption(line, line.args, shell.store)
    for word in line.args:
        try:
            target = shell.target(word)
            if isinstance(target, Local):
                _stat_local(shell, target, line)
            elif target.bucket and not target.key and not word.endswith("/") and not line.on("recursive"):
                _stat_bucket(shell, target)
            else:
                _stat_remote(shell, target, line, rules)
        except (Error, OSError) as error:
            if isinstance(error, Fatal):
                raise
            raise Fatal(f"Unable to stat `{word}`.", error) from error


def _stat_local(shell: Shell, target: Local, line: Line) -> None:
    path = target.path
    if not path.exists():
        raise missing_path(path)
    entries = (local_entries(path, Look(recursive=True)) if path.is_dir() and line.on("recursive")
               else iter([local_entry(path, path.name + ("/" if path.is_dir() else ""))]))  # fmt: skip
    for entry in entries:
        if entry.path is None:
            raise missing_path(path)
        metadata = {"Content-Type": content_type(entry.path.name),
                    "X-Amz-Meta-Mc-Attrs": file_attributes(entry.path)}  # fmt: skip
        _show(shell, entry, entry.key, metadata, {}, {})


def _stat_remote(shell: Shell, target: Remote, line: Line, rules: Encryption) -> None:
    version = line.text("version-id")
    if not target.bucket:
        for bucket in target.client.buckets():
            _show(shell, Entry(bucket.key + "/", folder=True), bucket.key + "/", {}, {}, {})
        return
    if line.on("no-list") or version:
        entry = Entry(target.key, version_id=version)
        _show_head(shell, target, entry, target.key.rpartition("/")[2], rules)
        return
    look = Look(recursive=line.on("recursive"), versions=line.on("versions"), rewind=rewind_time(line.text("rewind")))
    prefix, cut, found = target.key, base_of(target.key), False
    for entry in _listed(shell, target, prefix, look):
        found = True
        name = entry.key[len(cut) :]
        if entry.folder:
            _show(shell, entry, name, {}, {}, {})
        else:
            kept = entry if look.versions or look.rewind else Entry(entry.key, entry.size)
            _show_head(shell, target, kept, name, rules)
    if not found and prefix:
        raise missing_object()


def _listed(shell: Shell, target: Remote, prefix: str, look: Look) -> Iterator[Entry]:
    try:
        yield from remote_entries(target, prefix, look)
    except S3Error as error:
        shell.console.error("Unable to list folder.", error)


def _show_head(shell: Shell, target: Remote, entry: Entry, name: str, rules: Encryption) -> None:
    place = target.at(entry.key)

    def head() -> Head:
        return target.client.head(target.bucket, entry.key, entry.version_id, rules.read(place))

    found = place.tried(head)
    entry.size, entry.etag, entry.version_id = found.size, found.etag, found.version_id
    entry.modified = rfc3339(moment(found.modified)) if found.modified else ""
    headers = found.headers
    metadata = {canonical(each): value for each, value in headers.items()
                if each not in DROPPED and not each.startswith(("x-amz-checksum-", "x-minio-"))}  # fmt: skip
    checksums = {each.removeprefix("x-amz-checksum-").upper(): value for each, value in headers.items()
                 if each.startswith("x-amz-checksum-") and each != "x-amz-checksum-type"}  # fmt: skip
    rest = {each: headers[each] for each in APART if each in headers}
    _show(shell, entry, name, metadata, checksums, rest)


def encryption_line(metadata: dict[str, str]) -> str:
    """Return how an object is encrypted, in mc's words; "" when it is not."""
    low = {name.lower(): value for name, value in metadata.items()}
    if not any(name.startswith(SSE) for name in low):
        return ""
    if f"{SSE}-aws-kms-key-id" in low:
        kind = "DSSE-KMS" if low.get(SSE) == "aws:kms:dsse" else "SSE-KMS"
        return f"{kind} ({low[f'{SSE}-aws-kms-key-id']})"
    if low.get(f"{SSE}-bucket-key-enabled") == "true":  # with a key's name the original leaves it out (mc.md 9.8)
        return "SSE-KMS"
    if f"{SSE}-customer-key-md5" in low:
        return "SSE-C"
    return "SSE-S3" if low.get(SSE) == "AES256" else "SSE-Unknown"


def _show(shell: Shell, entry: Entry, name: str, metadata: dict[str, str], checksums: dict[str, str],
          rest: dict[str, str]) -> None:  # fmt: skip
    if shell.console.json:
        shell.console.say(_record(entry, name, metadata, checksums, rest))
        return
    shell.console.line("\n".join(_lines(shell, entry, name, metadata, checksums, rest)) + "\n")


def _record(entry: Entry, name: str, metadata: dict[str, str], checksums: dict[str, str],
            rest: dict[str, str]) -> dict[str, object]:  # fmt: skip
    record: dict[str, object] = {"status": "success", "name": name, "lastModified": entry.modified or EPOCH_TEXT,
                                 "size": entry.size, "etag": entry.etag,
                                 "type": "folder" if entry.folder else "file"}  # fmt: skip
    if rest.get("x-amz-replication-status"):
        record["replicationStatus"] = rest["x-amz-replication-status"]
    if rest.get("expires"):
        record["expires"] = rfc3339(moment(rest["expires"]))
    if rest.get("x-amz-expiration"):
        record["expiration"], record["expirationRuleID"] = _expiration(rest["x-amz-expiration"])
    if metadata:
        record["metadata"] = dict(sorted(metadata.items()))
    if entry.version_id:
        record["versionID"] = entry.version_id
    if entry.marker:
        record["deleteMarker"] = True
    if rest.get("x-amz-restore"):
        ongoing, until = _restore(rest["x-amz-restore"])
        record["restore"] = {"OngoingRestore": ongoing, "ExpiryTime": rfc3339(until) if until else EPOCH_TEXT}
    if checksums:
        record["checksum"] = checksums
    return record


def _restore(text: str) -> tuple[bool, datetime | None]:
    """Read `ongoing-request="true"` or `ongoing-request="false", expiry-date="…"`."""
    members = dict(part.strip().partition("=")[::2] for part in text.split('", '))
    until = members.get("expiry-date", "").strip('"')
    return members.get("ongoing-request", "").strip('"') == "true", moment(until) if until else None


def _expiration(text: str) -> tuple[str, str]:
    """Read `expiry-date="…", rule-id="…"`."""
    members = dict(part.strip().partition("=")[::2] for part in text.split('", '))
    when, rule = members.get("expiry-date", "").strip('"'), unquote(members.get("rule-id", "").strip('"'))
    return (rfc3339(moment(when)) if when else ""), rule


def _lines(shell: Shell, entry: Entry, name: str, metadata: dict[str, str], checksums: dict[str, str],
           rest: dict[str, str]) -> list[str]:  # fmt: skip
    lines = [shell.console.paint(f"Name      : {name}", "title")]
    if entry.modified:
        lines.append(f"Date      : {local(entry.when)} ")
    if not entry.folder:
        lines.append(f"Size      : {size(entry.size):<6} ")
    if entry.etag:
        lines.append(f"ETag      : {entry.etag} ")
    if entry.version_id:
        lines.append(f"VersionID : {entry.version_id}{' (delete-marker)' if entry.marker else ''} ")
    lines.append(f"Type      : {'folder' if entry.folder else 'file'} ")
    if rest.get("expires"):
        lines.append(f"Expires   : {local(moment(rest['expires']))} ")
    if rest.get("x-amz-expiration"):
        when, rule = _expiration(rest["x-amz-expiration"])
        lines.append(f"Expiration: {local(moment(when))} (lifecycle-rule-id: {rule}) ")
    if checksums:
        lines.append("Checksum  : " + " ".join(f"{kind}:{value}" for kind, value in sorted(checksums.items())))
    if rest.get("x-amz-restore"):
        ongoing, until = _restore(rest["x-amz-restore"])
        lines += _block("Restore   :", {**({"ExpiryTime": local(until)} if until else {}),
                                        "Ongoing": str(ongoing).lower()})  # fmt: skip
    how = encryption_line(metadata)
    if how:
        lines.append(f"Encryption: {how}")
    lines += _block("Metadata  :", {key: value for key, value in metadata.items() if not key.lower().startswith(SSE)})
    lines += _block("Encrypted :", {key: value for key, value in metadata.items() if key.lower().startswith(SSE)})
    if rest.get("x-amz-replication-status"):
        lines.append(f"Replication Status: {rest['x-amz-replication-status']} ")
    return lines


def _block(title: str, members: dict[str, str]) -> list[str]:
    """Return a title and its aligned members; nothing without members."""
    wide = max((len(key) for key in members), default=0)
    rows = [f"  {key:<{wide}}: {value} " for key, value in sorted(members.items())]
    return [title, *rows] if rows else []


# ---- buckets ----


def _stat_bucket(shell: Shell, target: Remote) -> None:
    from strongroom.cli.mc.bucket_info import gather, show

    client, bucket = target.client, target.bucket
    try:
        client.head_bucket(bucket)
    except NoSuchBucket as error:
        shell.console.error("Unable to list folder.", target.failure(error))
        raise missing_object() from error
    show(shell, gather(target))
