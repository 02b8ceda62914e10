"""Policy documents: HCL or JSON text to `domain.acl.Policy`, with the refusals clients know (vault.md 7.1)."""

from collections.abc import Callable
from typing import Any

from strongroom.errors import Malformed
from strongroom.kms.domain import acl
from strongroom.kms.domain.values import parse_duration
from strongroom.kms.wire import hcl

_KEYS = {
    "policy",
    "capabilities",
    "allowed_parameters",
    "denied_parameters",
    "required_parameters",
    "min_wrapping_ttl",
    "max_wrapping_ttl",
    "mfa_methods",
    "control_group",
    "comment",
    "expiration",
    "pagination_limit",
    "response_keys_filter_path",
    "list_scan_response_keys_filter_path",
}


_RESTRICTIONS = (  # keys that take rights away elsewhere; nothing here does, so that a new policy may not rely on them
    "mfa_methods",
    "control_group",
    "expiration",
    "response_keys_filter_path",
    "list_scan_response_keys_filter_path",
)


def one_error(text: str) -> str:
    """Return text in the form that lists of one error have (vault.md 1.5)."""
    return f"1 error occurred:\n\t* {text}\n\n"


def parse_policy(name: str, text: str) -> acl.Policy:
    """Return a document's rules; raise Malformed whose text begins `failed to parse policy: `."""
    try:
        return acl.Policy(name, tuple(_rules(hcl.parse(text), json=text.lstrip().startswith("{"))))
    except Malformed as error:
        raise Malformed(f"failed to parse policy: {error}") from error


def _rules(document: hcl.Object, *, json: bool) -> list[acl.Rule]:
    rules: list[acl.Rule] = []
    for item in document.items:
        if item.keys[0] not in ("path", "name"):
            raise Malformed(one_error(f'invalid key "{item.keys[0]}" on line {item.line}'))
        if item.keys[0] == "path":
            rules += _json_stanzas(item) if json else [_hcl_stanza(item)]
    return rules


def _hcl_stanza(item: hcl.Item) -> acl.Rule:
    pattern = item.keys[1] if len(item.keys) > 1 else item.keys[0]
    return _stanza(pattern, item.value)


def _json_stanzas(item: hcl.Item) -> list[acl.Rule]:
    objects = item.value.values if isinstance(item.value, hcl.Listing) else (item.value,)
    rules = []
    for found in objects:
        for stanza in found.items if isinstance(found, hcl.Object) else ():
            values = stanza.value.values if isinstance(stanza.value, hcl.Listing) else (stanza.value,)
            rules += [_stanza(stanza.keys[0], value) for value in values]
    return rules


def _stanza(pattern: str, body: hcl.Node) -> acl.Rule:
    try:
        return _rule(pattern, body)
    except Malformed as error:
        raise Malformed(f'path "{pattern}": {error}') from error


def _rule(pattern: str, body: hcl.Node) -> acl.Rule:
    members: dict[str, hcl.Item] = {}
    for item in body.items if isinstance(body, hcl.Object) else ():
        if item.keys[0] not in _KEYS:
            raise Malformed(one_error(f'invalid key "{item.keys[0]}" on line {item.line}'))
        members[item.keys[0]] = item
    if "+*" in pattern:
        raise Malformed(f"path \"{pattern}\": invalid use of wildcards ('+*' is forbidden)")
    low, high = _wrap(members, "min_wrapping_ttl"), _wrap(members, "max_wrapping_ttl")
    if high and high < low:
        raise Malformed("max_wrapping_ttl cannot be less than min_wrapping_ttl")
    return acl.Rule(
        pattern.removeprefix("/"),
        _capabilities(pattern, members),
        allowed=_parameters(members, "allowed_parameters"),
        denied=_parameters(members, "denied_parameters"),
        required=tuple(str(v).lower() for v in _listed(pattern, members, "required_parameters")),
        min_wrap=low,
        max_wrap=high,
        lacking=next((key for key in _RESTRICTIONS if key in members), ""),
    )


def _capabilities(pattern: str, members: dict[str, hcl.Item]) -> int:
    bits = 0
    if "policy" in members:
        word = hcl.plain(members["policy"].value)
        if word not in acl.OLD_POLICIES:
            raise Malformed(f'path "{pattern}": invalid policy "{word}"')
        bits |= acl.OLD_POLICIES[word]
    for name in _listed(pattern, members, "capabilities"):
        if name not in acl.CAPABILITIES:
            raise Malformed(f'path "{pattern}": invalid capability "{name}"')
        bits |= acl.CAPABILITIES[name]
    return acl.DENY if bits & acl.DENY else bits


def _listed(pattern: str, members: dict[str, hcl.Item], name: str) -> list[Any]:
    if name not in members:
        return []
    value = members[name].value
    if not isinstance(value, hcl.Listing):
        raise Malformed(f'path "{pattern}": At {value.line}:{value.column}: unknown slice type: *ast.LiteralType')
    return [hcl.plain(v) for v in value.values]


def _parameters(members: dict[str, hcl.Item], name: str) -> dict[str, tuple[Any, ...]]:
    if name not in members:
        return {}
    value = members[name].value
    if not isinstance(value, hcl.Object):
        raise Malformed(f"error parsing {name}: not a map")
    found = {item.keys[0].lower(): hcl.plain(item.value) for item in value.items}
    return {key: tuple(values) if isinstance(values, list) else (values,) for key, values in found.items()}


def _wrap(members: dict[str, hcl.Item], name: str) -> float:
    if name not in members:
        return 0
    value = hcl.plain(members[name].value)
    try:
        return float(value) if isinstance(value, int | float) else parse_duration(str(value))
    except ValueError as error:
        raise Malformed(f"error parsing {name}: {error}") from error


Parse = Callable[[str, str], acl.Policy]
