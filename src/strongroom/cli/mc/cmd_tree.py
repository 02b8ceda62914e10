"""mc du and mc tree (mc.md 9.9)."""

from collections.abc import Iterator

from strongroom.cli.mc.cmd_ls import entries_at, record
from strongroom.cli.mc.failures import INVALID, Fatal, missing_object, missing_path
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import size
from strongroom.cli.mc.listing import Entry, Look, local_entries, look_up, remote_entries, rewind_time
from strongroom.cli.mc.shell import Local, Remote, Shell, Target
from strongroom.errors import Error


def _depth(line: Line, default: int) -> int:
    text = line.text("depth")
    if text and not text.lstrip("-").isdecimal():
        raise Fatal(f"Invalid --depth value `{text}`.", INVALID)
    return int(text) if text else default


def du(shell: Shell, line: Line) -> None:
    """mc du TARGET..."""
    depth = 1_000_000 if line.on("recursive") else max(_depth(line, 1), 1)
    look = Look(recursive=True, versions=line.on("versions"), rewind=rewind_time(line.text("rewind")))
    for word in line.args:
        target = shell.located(word)
        try:
            for name, entries in _folders(target, word, look):
                _sum(shell, name, entries, depth, look.versions)
        except (Error, OSError) as error:
            if isinstance(error, Fatal):
                raise
            shell.console.error(f"Failed to find disk usage of `{word}` recursively.", error)


def _folders(target: Target, word: str, look: Look) -> Iterator[tuple[str, Iterator[Entry]]]:
    """Yield the name and the entries (keys relative to it) of what is summed up."""
    if isinstance(target, Local):
        if not target.path.is_dir():
            raise _no_folder(word) if target.path.exists() else missing_path(target.path)
        yield target.text.rstrip("/"), local_entries(target.path, look)
        return
    if not target.bucket:
        yield "", _site(target, look)
        return
    prefix = ""
    if target.key:
        found = look_up(target)
        if found.kind != "folder":
            raise _no_folder(word)
        prefix = found.prefix
    else:
        target.client.head_bucket(target.bucket)
    name = f"{target.bucket}/{prefix}".rstrip("/")
    yield name, _relative(target, prefix, look)


def _no_folder(word: str) -> Fatal:
    return Fatal(f"Source `{word}` is not a folder. Only folders are supported by 'du' command.", INVALID)


def _relative(target: Remote, prefix: str, look: Look) -> Iterator[Entry]:
    for entry in remote_entries(target, prefix, look):
        entry.key = entry.key[len(prefix) :]
        yield entry


def _site(target: Remote, look: Look) -> Iterator[Entry]:
    for bucket in target.client.buckets():
        place = Remote(target.alias, target.client, bucket.key)
        for entry in remote_entries(place, "", look):
            entry.key = f"{bucket.key}/{entry.key}"
            yield entry


def _sum(shell: Shell, name: str, entries: Iterator[Entry], depth: int, versions: bool) -> None:
    """Add up per folder, of `depth` levels, and print folders before what they are in."""
    totals: dict[str, list[int]] = {"": [0, 0]}
    for entry in entries:
        if entry.marker:
            continue
        folders = entry.key.split("/")[:-1]
        for level in range(min(len(folders), depth - 1) + 1):
            total = totals.setdefault("/".join(folders[:level]), [0, 0])
            total[0] += entry.size
            total[1] += 1
    for below in sorted(totals, key=lambda path: [*path.split("/"), "\U0010ffff"] if path else ["\U0010ffff"]):
        count, number = totals[below]
        shown = "/".join(part for part in (name, below) if part)
        unit = "version" if versions else "object"
        words = f"{number} {unit}{'' if number == 1 else 's'}"
        fields = {"prefix": shown, "size": count, "objects": number, "status": "success", "isVersions": versions}
        paint = shell.console.paint
        text = f"{paint(size(count, ''), 'size')}\t{paint(words, 'ok')}\t{paint(shown, 'folder')}"
        shell.console.say(fields, text)


def tree(shell: Shell, line: Line) -> None:
    """mc tree TARGET..."""
    depth = _depth(line, -1)
    if depth == 0 or depth < -1:
        raise Fatal("please set a proper depth, for example: '--depth 1' to limit the tree output, default (-1) "
                    "output displays everything")  # fmt: skip
    look = Look(rewind=rewind_time(line.text("rewind")))
    for word in line.args:
        target = shell.located(word)
        try:
            if shell.console.json:
                _records(shell, target, Look(recursive=True, rewind=look.rewind))
                continue
            lines = _draw(shell, _children(target, look), line.on("files"), depth, "")
            first = next(lines, None)
            if first is None and isinstance(target, Remote) and target.key:
                _must_exist(target)
            shell.console.line(shell.console.paint(word, "folder"))
            if first is not None:
                shell.console.line(first)
            for text in lines:
                shell.console.line(text)
        except (Error, OSError) as error:
            raise Fatal(f"Unable to tree `{word}`.", error) from error


def _records(shell: Shell, target: Target, look: Look) -> None:
    base, cut, entries = entries_at(target, look)
    found = False
    for entry in entries:
        found = True
        shell.console.say(record(entry, base, entry.key[len(cut) :]))
    if not found and isinstance(target, Remote) and target.key:
        _must_exist(target)


def _must_exist(target: Remote) -> None:
    if look_up(target).kind == "missing":
        raise missing_object()


class _Node:
    """A folder that can be listed, or a file."""

    def __init__(self, name: str, place: Target | None, look: Look) -> None:
        self.name, self.place, self.look = name, place, look


def _children(target: Target, look: Look) -> Iterator[_Node]:
    """Yield what lies directly in a folder, files first as the server lists them."""
    if isinstance(target, Local):
        if not target.path.is_dir():
            raise missing_path(target.path)
        for entry in local_entries(target.path, look):
            name = entry.key.rstrip("/")
            yield _Node(name, Local(str(entry.path)) if entry.folder else None, look)
        return
    if not target.bucket:
        for bucket in target.client.buckets():
            yield _Node(bucket.key, Remote(target.alias, target.client, bucket.key), look)
        return
    prefix = target.key if not target.key or target.key.endswith("/") else target.key + "/"
    for entry in remote_entries(target, prefix, look):
        name = entry.key[len(prefix) :].rstrip("/")
        if name:
            yield _Node(name, target.at(entry.key) if entry.folder else None, look)


def _draw(shell: Shell, nodes: Iterator[_Node], files: bool, depth: int, indent: str) -> Iterator[str]:
    """Yield the lines below a folder; one node is held back to know which is the last."""
    wanted = (node for node in nodes if files or node.place is not None)
    held = next(wanted, None)
    while held is not None:
        following = next(wanted, None)
        last = following is None
        style = "folder" if held.place is not None else "name"
        yield f"{indent}{'└─ ' if last else '├─ '}{shell.console.paint(held.name, style)}"
        if held.place is not None and depth != 1:
            deeper = indent + ("   " if last else "│  ")
            yield from _draw(shell, _children(held.place, held.look), files, depth - 1, deeper)
        held = following
