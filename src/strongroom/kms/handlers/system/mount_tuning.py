"""The tuning of a mount: what a request may set, and its limits (vault.md 2.6)."""

from typing import Any

from strongroom.kms.domain.errors import Refused
from strongroom.kms.domain.fields import convert, to_seconds
from strongroom.kms.domain.mounts import TOKEN
from strongroom.kms.domain.records import MountConfig

TOKEN_TYPES = ("service", "batch", "default-service", "default-batch")
LISTS = (
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
)
CONFIG = {
    "default_lease_ttl": "any",
    "max_lease_ttl": "any",
    "force_no_cache": "bool",
    "listing_visibility": "text",
    "token_type": "text",
    "description": "text",
    "options": "pairs",
    "plugin_version": "text",
    "user_lockout_config": "map",
} | dict.fromkeys(LISTS, "list")


def take_config(config: MountConfig, given: dict[str, Any]) -> None:
    """Change a mount's tuning by what is given; raise Refused."""
    for name, word in (("default_lease_ttl", "default"), ("max_lease_ttl", "max")):
        value = given.get(name)
        if value not in (None, ""):  # an empty text leaves it as it is: the command line sends one for flags not given
            setattr(config, name, _ttl(value, word))
    if given.get("force_no_cache") is not None:
        config.force_no_cache = bool(given["force_no_cache"])
    if given.get("listing_visibility") is not None:
        config.listing_visibility = convert("listing_visibility", "text", given["listing_visibility"])
        if config.listing_visibility not in ("", "hidden", "unauth"):
            raise Refused(f"invalid listing_visibility {config.listing_visibility}")
    for name in LISTS:
        if given.get(name) is not None:
            setattr(config, name, convert(name, "list", given[name]))


def take_token_type(config: MountConfig, path: str, given: Any) -> None:
    """Change the type of the tokens that logins at a mount make; raise Refused."""
    kind = convert("token_type", "text", given or "")
    if not kind:
        return
    if not path.startswith("auth/"):
        raise Refused("'token_type' can only be modified on auth mounts")
    if path == TOKEN:
        raise Refused("'token_type' cannot be set for 'token' or 'ns_token' auth mounts")
    if kind not in TOKEN_TYPES:
        raise Refused("invalid value for 'token_type'")
    config.token_type = kind


def _ttl(value: Any, word: str) -> int:
    if value in ("", "system"):
        return 0
    try:
        return int(to_seconds(value))
    except ValueError as error:
        raise Refused(f"unable to parse {word} TTL of {value}: {error}") from error
