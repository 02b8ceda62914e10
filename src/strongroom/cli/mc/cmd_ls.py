"""mc ls (mc.md 9.3)."""

from collections.abc import Iterator

from strongroom.cli.mc.failures import Fatal, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import local, size
from strongroom.cli.mc.listing import (
    EPOCH_TEXT,
    Entry,
    Look,
    base_of,
    local_entries,
    local_entry,
    look_up,
    remote_entries,
    rewind_time,
)
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import Error
from strongroom.sdk.s3_errors import NoSuchBucket


def look_of(line: Line) -> Look:
    """Return which entries the flags ask for."""
    return Look(recursive=line.on("recursive"), versions=line.on("versions"), incomplete=line.on("incomplete"),
                rewind=rewind_time(line.text("rewind")))  # fmt: skip


def entries_at(target: Target, look: Look) -> tuple[str, str, Iterator[Entry]]:
    """Return the base URL, what to cut from keys, and the entries at an address (for ls and tree --json)."""
    if isinstance(target, Local):
        return _local_at(target, look)
    if not target.bucket:
        return target.alias.url + "/", "", _all_buckets(target, look)
    return _below(target, look)


def _below(target: Remote, look: Look) -> tuple[str, str, Iterator[Entry]]:
    if look.incomplete and target.key:
        return target.url, base_of(target.key), remote_entries(target, target.key, look)
    if not target.key:
        try:
            target.client.head_bucket(target.bucket)
        except NoSuchBucket as error:
            raise target.failure(error) from error
        return target.url + "/", "", remote_entries(target, "", look)
    if target.key.endswith("/"):
        return target.url, target.key, remote_entries(target, target.key, look)
    found = look_up(target)
    if found.kind == "folder":
        return target.url + "/", found.prefix, remote_entries(target, found.prefix, look)
    return target.url, base_of(target.key), remote_entries(target, target.key, look)


def _all_buckets(target: Remote, look: Look) -> Iterator[Entry]:
    for bucket in target.client.buckets():
        if not (look.recursive or look.versions):
            yield Entry(bucket.key + "/", 0, bucket.modified, folder=True)
            continue
        place = Remote(target.alias, target.client, bucket.key)
        for entry in remote_entries(place, "", look):
            entry.key = f"{bucket.key}/{entry.key}"
            yield entry


def _local_at(target: Local, look: Look) -> tuple[str, str, Iterator[Entry]]:
    path = target.path
    if not path.exists():
        raise missing_path(path)
    if path.is_dir():
        return f"{path}/", "", local_entries(path, look)
    return str(path), "", iter([local_entry(path, path.name)])


def ls(shell: Shell, line: Line) -> None:
    """mc ls [TARGET...]."""
    look, wanted = look_of(line), line.text("storage-class")
    for word in line.args or (".",):
        target = shell.located(word)
        count = total = 0
        try:
            base, cut, entries = entries_at(target, look)
            for entry in entries:
                if wanted and not entry.folder and entry.storage_class != wanted:
                    continue
                count, total = count + 1, total + (0 if entry.folder else entry.size)
                show(shell, entry, base, cut, look)
        except (Error, OSError) as error:
            if isinstance(error, Fatal):
                raise
            shell.console.error("Unable to list folder.", error)
            continue
        if line.on("summarize"):
            text = f"\nTotal Size: {size(total)}\nTotal Objects: {count}"
            shell.console.say({"totalObjects": count, "totalSize": total}, text)


def show(shell: Shell, entry: Entry, base: str, cut: str, look: Look) -> None:
    """Print one entry."""
    console = shell.console
    key = entry.key[len(cut) :]
    if console.json:
        console.say(record(entry, base, key))
        return
    paint = console.paint
    text = paint(f"[{local(entry.when)}]", "time") + paint(f"{size(entry.size, ''):>7}", "size")
    if entry.storage_class:
        text += " " + paint(entry.storage_class, "class")
    if look.versions and not entry.folder:
        word = "DEL" if entry.marker else "PUT"
        text += f" {paint(entry.version_id or 'null', 'id')} {paint(f'v{entry.ordinal}', 'id')} {word}"
    console.line(text + paint(f" {key}", "folder" if entry.folder else "name"))


def record(entry: Entry, base: str, key: str) -> dict[str, object]:
    """Return what --json shows of an entry."""
    found: dict[str, object] = {
        "status": "success",
        "type": "folder" if entry.folder else "file",
        "lastModified": entry.modified or EPOCH_TEXT,
        "size": entry.size,
        "key": key,
        "etag": entry.etag,
        "url": base,
    }
    if entry.version_id:
        found["versionId"] = entry.version_id
    found["versionOrdinal"] = entry.ordinal
    if entry.marker:
        found["isDeleteMarker"] = True
    if entry.storage_class:
        found["storageClass"] = entry.storage_class
    if entry.metadata:
        found["metadata"] = entry.metadata
    return found
