"""mc tag (mc.md 9.11)."""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from strongroom.cli.mc.failures import Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.listing import Look, base_of, named, remote_entries, rewind_time
from strongroom.cli.mc.shell import Remote, Shell
from strongroom.errors import Error
from strongroom.sdk.s3_errors import S3Error
from strongroom.sdk.s3_xml import element, parse, writer


def places(target: Remote, line: Line) -> Iterator[tuple[Remote, str]]:
    """Yield the addresses and versions that --recursive, --versions, --rewind and --version-id name."""
    look = Look(line.on("recursive"), line.on("versions"), rewind=rewind_time(line.text("rewind")))
    if not target.key and not look.recursive:
        yield target, ""
        return
    if not (look.recursive or look.versions or look.rewind):
        yield target, line.text("version-id")
        return
    for entry in remote_entries(target, target.key, look):
        if not entry.folder and not entry.marker and named(entry.key, target.key, recursive=look.recursive):
            yield target.at(entry.key), entry.version_id


def name_of(place: Remote, target: Remote) -> str:
    """Return a key relative to the folder that was asked for."""
    return place.key[len(base_of(target.key)) :]


def set_(shell: Shell, line: Line) -> None:
    """mc tag set TARGET TAGS."""
    target = shell.remote(line.args[0], "Unable to initialize target {}", "SetTags")
    tags = parse_qsl(line.args[1], keep_blank_values=True)
    if not tags:
        raise Fatal(f"Failed to set tags for {target.url}", "Tags are of the form `key1=value1&key2=value2`")
    rows = [element("Tag", [element("Key", key), element("Value", value)]) for key, value in tags]
    body = writer("Tagging")(element("TagSet", rows))
    for place, version in places(target, line):
        try:
            target.client.put_config(place.bucket, "tagging", body, place.key, version)
        except Error as error:
            raise Fatal(f"Failed to set tags for {place.url}", error) from error
        shell.console.say({"status": "success", "name": place.url, "versionID": version},
                          f"Tags set for {_shown(place, version)}.", "ok")  # fmt: skip


def _shown(place: Remote, version: str) -> str:
    return f"{place.url} ({version})" if version else place.url


def list_(shell: Shell, line: Line) -> None:
    """mc tag list TARGET."""
    target = shell.remote(line.args[0], "Unable to initialize target {}", "GetTags")
    for place, version in places(target, line):
        try:
            root = parse(target.client.get_config(place.bucket, "tagging", place.key, version))
        except S3Error as error:
            if error.code == "NoSuchTagSet":
                raise Fatal(f"No tags found  for {place.url}",
                            "check 'mc tag set --help' on how to set tags") from error  # fmt: skip
            raise Fatal(f"Unable to fetch tags for {place.url}", error) from error
        tags = {tag.get("Key"): tag.get("Value") for tag in root.all("TagSet/Tag")}
        record: dict[str, object] = {"tagset": tags} if tags else {}
        record.update(status="success", url=place.url, versionID=version)
        wide = max(map(len, ("Name", *tags)))
        paint = shell.console.paint
        lines = [paint(f"{'Name':<{wide}} : {_shown(place, version)}", "name")]
        lines += [f"{paint(f'{key:<{wide}}', 'cyan')} : {value}" for key, value in sorted(tags.items())]
        shell.console.say(record, "\n".join(lines) if tags else lines[0] + "\nNo tags found")


def remove(shell: Shell, line: Line) -> None:
    """mc tag remove TARGET."""
    target = shell.remote(line.args[0], "Unable to initialize target {}", "DeleteTags")
    for place, version in places(target, line):
        try:
            target.client.drop_config(place.bucket, "tagging", place.key, version)
        except Error as error:
            raise Fatal(f"Unable to remove tags for {place.url}", error) from error
        shell.console.say({"status": "success", "name": place.url, "versionID": version},
                          f"Tags removed for {_shown(place, version)}.", "ok")  # fmt: skip
