"""Tables as people know them: four spaces between columns, a row of dashes under the head (vault.md 10.2)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from strongroom.cli.kms import durations
from strongroom.cli.kms.jsontext import Number
from strongroom.cli.kms.secret import Secret

GAP = "    "
_SPAN_KEY = re.compile(r"(ttl|period|duration)$")
_VALUE_HEAD = len("Value")


def columns(rows: Iterable[Sequence[str]], gap: str = GAP) -> str:
    """Return aligned rows, each with a newline; the last column is not padded, and an empty cell is n/a."""
    cells = [[cell.strip() or "n/a" for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in cells if at < len(row)) for at in range(max(map(len, cells), default=0))]
    return "".join(
        gap.join([*(c.ljust(w) for c, w in zip(row[:-1], widths, strict=False)), row[-1]]) + "\n" for row in cells
    )


def headed(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a head and a row of dashes as long as each head."""
    return columns([head, ["-" * len(cell) for cell in head], *rows])


def pairs(rows: Iterable[tuple[str, Any]]) -> str:
    """Return the Key / Value table of rows in the order given."""
    return headed(("Key", "Value"), [(key, text(value)) for key, value in rows])


def text(value: Any) -> str:
    """Return a value as Go prints it: `<nil>`, `[a b]`, `map[k:v]`, true, 5."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(text, value)) + "]"
    return str(value)


def cell(key: str, value: Any) -> str:
    """Return a value of a table; whole numbers under names that end in ttl, period or duration are durations."""
    if isinstance(value, Number) and _SPAN_KEY.search(key) and re.fullmatch(r"-?\d+", value):
        return durations.human(int(value))
    return text(value)


def data_rows(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of a map, sorted by key."""
    return [(key, cell(key, data[key])) for key in sorted(data)]


def quoted(names: Iterable[str] | None) -> str:
    """Return a list of policies: `["default" "p"]`."""
    return "[" + " ".join(f'"{name}"' for name in names or ()) + "]"


def span(seconds: Any) -> str:
    """Return a token's remaining time; none is for ever."""
    return durations.human(int(seconds)) if int(seconds or 0) else "∞"


def secret_rows(secret: Secret) -> list[tuple[str, str]]:
    """Return the rows that stand for an answer: its wrapping, its token, or its lease and data."""
    if secret.wrap_info:
        return wrap_rows(secret.wrap_info)
    if secret.auth:
        return auth_rows(secret.auth)
    rows: list[tuple[str, str]] = []
    if secret.lease_id:
        rows += [
            ("lease_id", secret.lease_id),
            ("lease_duration", durations.human(secret.lease_duration)),
            ("lease_renewable", text(secret.renewable)),
        ]
    elif secret.lease_duration:
        rows.append(("refresh_interval", durations.human(secret.lease_duration)))
    return rows + data_rows(secret.data or {})


def wrap_rows(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of a wrapped answer; the colons are the original's."""
    rows = [
        ("wrapping_token:", str(info.get("token", ""))),
        ("wrapping_accessor:", str(info.get("accessor", ""))),
        ("wrapping_token_ttl:", durations.human(int(info.get("ttl") or 0))),
        ("wrapping_token_creation_time:", go_time(str(info.get("creation_time", "")))),
        ("wrapping_token_creation_path:", str(info.get("creation_path", ""))),
    ]
    if info.get("wrapped_accessor"):
        rows.append(("wrapped_accessor:", str(info["wrapped_accessor"])))
    return rows


def go_time(stamp: str) -> str:
    """Return an RFC 3339 time as Go prints one: `2026-11-23 01:50:49.78 +0000 UTC`."""
    return stamp.replace("T", " ").replace("Z", " +0000 UTC") if stamp.endswith("Z") else stamp


def auth_rows(auth: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of a token."""
    metadata = auth.get("metadata") or {}
    return [
        ("token", str(auth.get("client_token", ""))),
        ("token_accessor", str(auth.get("accessor", ""))),
        ("token_duration", span(auth.get("lease_duration"))),
        ("token_renewable", text(bool(auth.get("renewable")))),
        ("token_policies", quoted(auth.get("token_policies"))),
        ("identity_policies", quoted(auth.get("identity_policies"))),
        ("policies", quoted(auth.get("policies"))),
        *((f"token_meta_{key}", text(metadata[key])) for key in sorted(metadata)),
    ]


def titled(title: str, width: int) -> str:
    """Return a title centred between = signs over something of that width; two on each side when it is narrow."""
    marks = "=" * (-(-(width - len(title) - 2) // 2) if width - len(title) - 2 > 0 else 2)
    return f"{marks} {title} {marks}\n"


def block(title: str, data: Mapping[str, Any]) -> str:
    """Return a titled Key / Value table."""
    width = max(map(len, data), default=0) + len(GAP) + _VALUE_HEAD
    return titled(title, width) + pairs(data_rows(data))
