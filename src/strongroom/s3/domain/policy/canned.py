"""The policies that every server has (mc.md 10.5), and what bucket policies `mc anonymous` names."""

import json
from typing import Any


def _document(*statements: dict[str, Any]) -> bytes:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":")).encode()


def _allow(actions: list[str], resources: list[str] | None = None) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions} | ({"Resource": resources} if resources else {})


_ALL = ["arn:aws:s3:::*"]
_DIAGNOSTICS = [
    "admin:ServerTrace", "admin:Profiling", "admin:ConsoleLog", "admin:ServerInfo", "admin:TopLocksInfo",
    "admin:OBDInfo", "admin:BandwidthMonitor", "admin:Prometheus",
]  # fmt: skip
CANNED: dict[str, bytes] = {
    "readwrite": _document(_allow(["s3:*"], _ALL)),
    "readonly": _document(_allow(["s3:GetBucketLocation", "s3:GetObject"], _ALL)),
    "writeonly": _document(_allow(["s3:PutObject"], _ALL)),
    "diagnostics": _document(_allow(_DIAGNOSTICS, _ALL)),
    "consoleAdmin": _document(_allow(["admin:*"]), _allow(["kms:*"]), _allow(["s3:*"], _ALL)),
}
