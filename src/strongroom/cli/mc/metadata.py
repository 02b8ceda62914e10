"""Metadata of objects: content types, --attr, --tags, retention, and the file attributes of --preserve (mc.md 9.4)."""

import contextlib
import os
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from mimetypes import MimeTypes
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from strongroom.cli.mc.failures import INVALID, Fatal
from strongroom.cli.mc.flags import Line
from strongroom.cli.mc.formats import LONGEST_SECONDS, rfc3339

KNOWN = frozenset({"cache-control", "content-disposition", "content-encoding", "content-language", "content-type",
                   "expires", "x-amz-storage-class", "x-amz-website-redirect-location"})  # fmt: skip
CHECKSUM_NAMES = ("MD5", "CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME")


@cache
def _types() -> MimeTypes:
    return MimeTypes()  # Python's own table: the same on every machine


def content_type(name: str) -> str:
    """Return the type that a name's extension stands for."""
    found, encoding = _types().guess_type(name)
    if encoding:
        return {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}.get(
            encoding, "application/octet-stream"
        )
    return found or "application/octet-stream"


def attributes(text: str) -> dict[str, str]:
    """Read `k=v;k2=v2`: known HTTP headers stay, the rest becomes x-amz-meta-; raise Fatal."""
    found: dict[str, str] = {}
    for pair in text.split(";"):
        if not pair.strip():
            continue
        name, equals, value = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise Fatal("Unable to parse --attr value.", f"`{pair}` is not of the form key=value.")
        low = name.lower()
        canonical = "-".join(word[:1].upper() + word[1:] for word in name.split("-"))
        plain = low in KNOWN or low.startswith(("x-amz-meta-", "x-amz-"))
        found[canonical if plain else f"X-Amz-Meta-{canonical}"] = value.strip()
    return found


def tags_header(text: str) -> str:
    """Read `k=v&k2=v2` as people write it; return it encoded for x-amz-tagging."""
    return urlencode(parse_qsl(text, keep_blank_values=True))


def retention_headers(line: Line, now: datetime | None = None) -> list[tuple[str, str]]:
    """Return the headers of --retention-mode, --retention-duration and --legal-hold; raise Fatal."""
    mode, duration, hold = line.text("retention-mode"), line.text("retention-duration"), line.text("legal-hold")
    found: list[tuple[str, str]] = []
    if bool(mode) != bool(duration):
        raise Fatal("Both object retention flags `--retention-mode` and `--retention-duration` are required.", INVALID)
    if mode:
        if mode.upper() not in {"GOVERNANCE", "COMPLIANCE"}:
            raise Fatal(f"invalid retention mode '{mode.upper()}'", INVALID)
        until = (now or datetime.now(UTC)) + timedelta(days=validity_days(duration))
        found += [("X-Amz-Object-Lock-Mode", mode.upper()),
                  ("X-Amz-Object-Lock-Retain-Until-Date", rfc3339(until.replace(microsecond=0)))]  # fmt: skip
    if hold:
        if hold.upper() not in {"ON", "OFF"}:
            raise Fatal(f"Invalid legal hold `{hold}`, use on or off.", INVALID)
        found.append(("X-Amz-Object-Lock-Legal-Hold", hold.upper()))
    return found


def validity(text: str) -> tuple[int, str]:
    """Read `30d` or `1y`; return the number and DAYS or YEARS; raise Fatal."""
    unit = {"d": "DAYS", "y": "YEARS"}.get(text[-1:].lower())
    if unit is None or not re.fullmatch("[0-9]{1,7}", text[:-1]):
        raise Fatal("invalid validity argument", INVALID)
    return int(text[:-1]), unit


def validity_days(text: str) -> int:
    """Return a validity in days."""
    count, unit = validity(text)
    days = count * (365 if unit == "YEARS" else 1)
    if days * 86400 > LONGEST_SECONDS:
        raise Fatal("invalid validity argument", INVALID)
    return days


def checksum_name(line: Line) -> str:
    """Return --checksum (or --md5) as the transfers know it; raise Fatal."""
    name = line.text("checksum").upper().replace("-", "")
    if line.on("md5"):
        name = "MD5"
    if name and name not in CHECKSUM_NAMES:
        raise Fatal(f"Unknown checksum `{line.text('checksum')}`.", f"Use one of {', '.join(CHECKSUM_NAMES)}.")
    return name


def file_attributes(path: Path) -> str:
    """Return mode, owner and times of a file as mc keeps them in metadata (`mc-attrs`)."""
    state = path.stat()
    uname, gname = str(state.st_uid), str(state.st_gid)
    if os.name == "posix":
        import grp
        import pwd

        with contextlib.suppress(KeyError):
            uname = pwd.getpwuid(state.st_uid).pw_name
        with contextlib.suppress(KeyError):
            gname = grp.getgrgid(state.st_gid).gr_name

    def when(nanoseconds: int) -> str:
        return f"{nanoseconds // 10**9}#{nanoseconds % 10**9}"

    return (f"atime:{when(state.st_atime_ns)}/gid:{state.st_gid}/gname:{gname}/mode:{state.st_mode}/"
            f"mtime:{when(state.st_mtime_ns)}/uid:{state.st_uid}/uname:{uname}")  # fmt: skip


def restore_attributes(path: Path, text: str) -> None:
    """Give a downloaded file the mode and times it had, and the owner where we may. What is no number is left out."""
    members = dict(pair.partition(":")[::2] for pair in text.split("/") if ":" in pair)

    def when(name: str) -> int | None:
        seconds, _, rest = members.get(name, "").partition("#")
        whole, part = _number(seconds), _number(rest or "0")
        return None if whole is None or part is None else whole * 10**9 + part

    mode, uid, gid = (_number(members.get(name, "")) for name in ("mode", "uid", "gid"))
    mtime = when("mtime")
    if mode is not None:
        path.chmod(mode & 0o777)
    if uid is not None and gid is not None and hasattr(os, "chown"):
        with contextlib.suppress(PermissionError):
            os.chown(path, uid, gid)
    if mtime is not None:
        os.utime(path, ns=(when("atime") or mtime, mtime))


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,10}", text) and int(text) < 2**32 - 1 else None
