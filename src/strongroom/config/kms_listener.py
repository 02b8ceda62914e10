"""A `listener` block of a kms server's configuration (vault.md 9.2)."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from strongroom.config.hcl import Block, to_switch, unknown
from strongroom.config.kms_spans import span, whole
from strongroom.config.kms_unused import LISTENER_UNUSED, unused
from strongroom.errors import BadSettings
from strongroom.kms.settings import JSON_MEMORY, JSON_STRINGS, REQUEST_BYTES, Listener

LISTENER = {
    "address", "cluster_address", "tls_disable", "tls_cert_file", "tls_key_file", "tls_min_version",
    "tls_max_version", "tls_cipher_suites", "tls_client_ca_file", "tls_require_and_verify_client_cert",
    "tls_disable_client_certs", "http_idle_timeout", "http_read_header_timeout", "http_read_timeout",
    "http_write_timeout", "max_request_size", "max_request_duration", "telemetry", "profiling",
    "custom_response_headers", "disable_unauthed_rekey_endpoints", "disable_unauthed_generate_root_endpoints",
    "x_forwarded_for_authorized_addrs", "x_forwarded_for_hop_skips", "x_forwarded_for_reject_not_present",
    "x_forwarded_for_reject_not_authorized", "proxy_protocol_behavior", "proxy_protocol_authorized_addrs",
    "tls_prefer_server_cipher_suites", "inflight_requests_logging", "max_request_json_memory",
    "max_request_json_strings",
}  # fmt: skip
FRAMING = {"content-length", "transfer-encoding", "connection", "date", "trailer", "upgrade"}
VERSIONS = {"tls10": "1.2", "tls11": "1.2", "tls12": "1.2", "tls13": "1.3"}
OLD = ("tls10", "tls11")
SUITE = re.compile(r"TLS_(?:(ECDHE)_)?(ECDSA|RSA)_WITH_(AES_(?:128|256)_(?:GCM|CBC)|CHACHA20_POLY1305)(?:_(SHA\d*))?")
EXAMPLE = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")


def listener_of(block: Block, warnings: list[str], duration: float) -> Listener:
    """Return a listener; duration: how long a request may take unless the block says so. Raises BadSettings."""
    if block.kind != "tcp":
        raise BadSettings(f"{block.place}: listener type {block.kind!r} is not supported; use `tcp`")
    warnings += [unknown(name, LISTENER, block.place) for name in block.members if name not in LISTENER]
    warnings += unused(block.members, LISTENER_UNUSED, block.place)
    host, port = _address(block.text("address", "127.0.0.1:8200"), block.place)
    disabled = block.switch("tls_disable")
    least, most = _versions(block, warnings)
    for name in ("tls_cert_file", "tls_key_file"):
        if not disabled and not block.text(name):
            raise BadSettings(f"{block.place}: the listener has no {name}; name one, or set tls_disable = true")
    if block.text("proxy_protocol_behavior"):
        raise BadSettings(
            f"{block.place}: proxy_protocol_behavior is not supported; let the proxy send X-Forwarded-For"
        )
    telemetry = block.members.get("telemetry") or {}
    skips = whole(block, "x_forwarded_for_hop_skips", 0)
    if skips < 0:
        raise BadSettings(f"{block.place}: x_forwarded_for_hop_skips cannot be negative but set to {skips}")
    return Listener(
        host=host,
        port=port,
        tls_disable=disabled,
        tls_cert_file=block.text("tls_cert_file"),
        tls_key_file=block.text("tls_key_file"),
        tls_min_version=least,
        tls_max_version=most,
        tls_cipher_suites=cipher_list(block),
        tls_client_ca_file=block.text("tls_client_ca_file"),
        require_client_cert=block.switch("tls_require_and_verify_client_cert"),
        disable_client_certs=block.switch("tls_disable_client_certs"),
        max_request_size=whole(block, "max_request_size", 0) or REQUEST_BYTES,
        max_request_duration=span(block, "max_request_duration", 0) or duration,
        max_json_strings=whole(block, "max_request_json_strings", 0) or JSON_STRINGS,
        max_json_memory=whole(block, "max_request_json_memory", 0) or JSON_MEMORY,
        http_idle_timeout=span(block, "http_idle_timeout", 300),
        http_read_header_timeout=span(block, "http_read_header_timeout", 10),
        http_read_timeout=span(block, "http_read_timeout", 30),
        http_write_timeout=span(block, "http_write_timeout", 0),
        unauthenticated_metrics=to_switch(
            telemetry.get("unauthenticated_metrics_access", False) if isinstance(telemetry, dict) else False,
            block.place,
        ),
        disable_unauthed_rekey=block.switch("disable_unauthed_rekey_endpoints"),
        disable_unauthed_generate_root=block.switch("disable_unauthed_generate_root_endpoints"),
        forwarded_from=_networks(block, "x_forwarded_for_authorized_addrs"),
        forwarded_skips=skips,
        forwarded_required=block.switch("x_forwarded_for_reject_not_present"),
        forwarded_strict=block.switch("x_forwarded_for_reject_not_authorized"),
        response_headers=_headers(block, warnings),
        raw=block.members,
    )


def _versions(block: Block, warnings: list[str]) -> tuple[str, str]:
    """Return the least and greatest version of TLS; raise BadSettings."""
    found = []
    for name, default in (("tls_min_version", "tls12"), ("tls_max_version", "tls13")):
        text = block.text(name, default)
        if text not in VERSIONS or (name == "tls_max_version" and text in OLD):
            raise BadSettings(f"{block.place}: {name} {text!r}: write tls12 or tls13")
        if text in OLD:
            warnings.append(f"{block.place}: {name} {text}: TLS 1.2 is the oldest version here")
        found.append(VERSIONS[text])
    if found[0] > found[1]:
        raise BadSettings(f"{block.place}: tls_min_version is greater than tls_max_version")
    return found[0], found[1]


def cipher_list(block: Block) -> str:
    """Return tls_cipher_suites in OpenSSL's words, those of TLS 1.3 left out (they are always on); "" for its own."""
    value = block.members.get("tls_cipher_suites") or ""
    names = [str(part).strip() for part in (value if isinstance(value, list) else str(value).split(","))]
    found = []
    for name in filter(None, names):
        parts = SUITE.fullmatch(name)
        if parts is None and name not in TLS13:
            raise BadSettings(f"{block.place}: tls_cipher_suites: no suite {name!r}; write such as {EXAMPLE}")
        if parts is not None:
            exchange, proof, cipher, digest = parts.groups()
            bulk = cipher.replace("AES_", "AES").replace("_CBC", "").replace("_", "-")
            end = "" if cipher.startswith("CHACHA") else f"-{digest or 'SHA'}"
            found.append("-".join(filter(None, (exchange, proof if exchange else "", bulk))) + end)
    return ":".join(found)


def _networks(block: Block, name: str) -> tuple[str, ...]:
    """Return address blocks, given as a list or as text with commas."""
    value = block.members.get(name) or []
    parts = [str(part).strip() for part in (value if isinstance(value, list) else str(value).split(","))]
    for part in parts:
        try:
            ipaddress.ip_network(part, strict=False)
        except ValueError as error:
            raise BadSettings(f"{block.place}: {name}: {part!r} is neither an address nor an address block") from error
    return tuple(parts)


def _headers(block: Block, warnings: list[str]) -> dict[str, dict[str, str]]:
    """Return custom_response_headers by `default`, `4xx` or `404`; a header's texts are joined."""
    found: dict[str, dict[str, str]] = {}
    for part in _maps(block.members.get("custom_response_headers") or {}, block.place):
        for status, headers in part.items():
            if not re.fullmatch(r"default|[1-5]xx|[1-5][0-9][0-9]", status):
                place = f"{block.place}: custom_response_headers {status!r}"
                raise BadSettings(f"{place}: write default, a class such as 4xx, or a status such as 404")
            for some in _maps(headers, block.place):
                found.setdefault(status, {}).update(_texts_of(some, block.place, warnings))
    return found


def _maps(value: Any, place: str) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(part, dict) for part in found):
        raise BadSettings(f'{place}: custom_response_headers: write blocks such as "4xx" = {{ NAME = [TEXT] }}')
    return found


def _texts_of(headers: Mapping[str, Any], place: str, warnings: list[str]) -> dict[str, str]:
    found = {}
    for name, value in headers.items():
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise BadSettings(f"{place}: custom_response_headers {name}: headers must be given in a list of strings")
        text = "; ".join(value)
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\t -~]*", text):
            raise BadSettings(f"{place}: custom_response_headers {name!r}: not a header of plain text")
        if name.lower().startswith("x-vault-") or name.lower() in FRAMING:
            warnings.append(f"{place}: custom_response_headers {name} is the server's own and stays as it is")
        else:
            found[name] = text
    return found


def _address(text: str, place: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        host, port = text, "8200"
    if not 0 <= int(port) < 65536:
        raise BadSettings(f"{place}: address {text!r}: the port is out of range")
    return host.strip("[]"), int(port)
